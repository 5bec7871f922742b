"""What the pages written by hand say is so: commands exist, paths exist, the picture and the map are whole."""

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(DOCS)): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
ACTIONS = {"segments"}
"""Commands that have actions of their own."""


def commands() -> list[str]:
    """Every `fenqun …` of the pages, in blocks and in the text."""
    text = "\n".join(PAGES.values())
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("fenqun ")]
    return [*lines, *re.findall(r"`(fenqun [a-z][^`\n]*)`", text)]


def split(line: str) -> tuple[tuple[str, ...], set[str]]:
    """The words that name the command, and its options."""
    words = shlex.split(line)[1:]
    named = tuple(words[: 2 if words[0] in ACTIONS else 1])
    return named, {word.partition("=")[0] for word in words if word.startswith("--")}


@cache
def help_of(named: tuple[str, ...]) -> tuple[int, str]:
    """What `fenqun COMMAND --help` says, however the command line is made."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "flows", *named, "--help"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_pages_name_commands():
    assert {split(line)[0] for line in commands()} >= {("doctor",), ("check",), ("promote",), ("segments", "export")}


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_on_the_pages_exists_with_its_options(line):
    named, options = split(line)
    code, told = help_of(named)
    assert code == 0, told
    known = set(re.findall(r"--[a-z][a-z-]*", told))
    assert options <= known, f"{line}: fenqun {' '.join(named)} knows {sorted(known)}"


def test_every_make_target_on_the_pages_exists():
    targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", "\n".join(PAGES.values()), re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"ui", "install"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:.*##", makefile, re.MULTILINE)] == []


def test_every_link_and_path_on_the_pages_leads_somewhere():
    for name, text in PAGES.items():
        links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
        assert [link for link in links if not (DOCS / name).parent.joinpath(link).exists()] == [], name
        paths = re.findall(r"`((?:deployments|flows|schemas|tests)/[\w./-]*)`", text)
        assert [path for path in paths if not (ROOT / path).exists()] == [], name


def test_every_module_of_the_api_page_is_there():
    named = re.findall(r"^\.\. auto(?:module|function|class):: ([\w.]+)", PAGES["api.md"], re.MULTILINE)
    modules = [name for name in named if (ROOT / (name.replace(".", "/") + ".py")).exists()]
    rest = [name.rpartition(".")[0] for name in set(named) - set(modules)]
    assert modules
    assert [name for name in rest if not (ROOT / (name.replace(".", "/") + ".py")).exists()] == []


def test_the_map_of_the_state_folder_names_every_place_that_the_code_writes_to():
    sources = [*(ROOT / "tasks").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    written = set(re.findall(r'(?:home\(\)|home)\) / "(\w+)"', code))
    told = set(re.findall(r"^\| `(\w+)[/`]", PAGES["operations.md"], re.MULTILINE))
    assert {"segmentations", "mlflow", "artifacts"} <= written
    assert written - told == set()


def test_the_picture_shows_every_verb_of_the_readme_and_every_room():
    picture = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = re.search(r"```text\n(ingest ->.*?)```", readme, re.DOTALL)[1]
    verbs = set(re.findall(r"\b[a-z]+\b", re.sub(r"\([^)]*\)", "", line)))
    assert [verb for verb in sorted(verbs) if verb not in picture] == []
    rooms = {path.name for path in (ROOT / "tasks").iterdir() if (path / "__init__.py").exists()}
    assert [room for room in sorted(rooms) if room not in picture] == []
