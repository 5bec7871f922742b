"""What the README says is so: commands run or exist, the example is the config that ships, links lead somewhere."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.__main__ import main
from flows.config import parse
from tests.helpers import cli
from tests.helpers.own_csv import write

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FOREIGN = {"export", "curl", "prefect", "mlflow"}
"""Programs of the README that are not ours; the tests of servers run their commands."""


def blocks(language: str) -> list[str]:
    """The README's fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def words(line: str) -> list[str]:
    """A command line's words, without variables set before it."""
    found = shlex.split(line)
    while found and re.fullmatch(r"[A-Z_]+=.*", found[0]):
        found.pop(0)
    return found


def commands() -> list[str]:
    """Every command line of the README: those in blocks, and those that stand in the text."""
    lines = [line for block in blocks("sh") for line in block.replace("\n  ", " ").splitlines() if line.strip()]
    inline = [code for code in re.findall(r"`([^`\n]+)`", README) if re.match(r"(fenqun|make) ", code)]
    return [*lines, *(code for code in inline if "…" not in code)]


def ours(program: str) -> list[list[str]]:
    found = [words(line)[1:] for line in commands() if words(line)[0] == program]
    assert found, f"the README has no `{program}`: is it still parsed as it is written?"
    return found


def test_the_two_commands_stand_in_the_readme():
    assert "make demo\nmake test\n" in blocks("sh")


def test_every_command_line_is_of_a_known_program():
    assert {words(line)[0] for line in commands()} <= {"make", "fenqun"} | FOREIGN


@pytest.mark.parametrize("arguments", ours("fenqun"), ids=" ".join)
def test_fenqun_knows_the_command(arguments: list[str]):
    """A whole command parses; the bare mention of one lacks its arguments, but is known."""
    told = cli.wrong(arguments)
    assert not told or told.startswith("Missing "), told


def test_fenqun_help_tells_every_command(capsys):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(path[0] in told for path in cli.commands() if path)


def test_every_command_and_option_of_fenqun_is_in_the_readme():
    leaves = [path for path, command in cli.commands().items() if not hasattr(command, "commands")]
    assert [path for path in leaves if f"fenqun {' '.join(path)}" not in README] == []
    known = {option for path in cli.commands() for option in cli.options(*path)}
    assert [one for one in known - {"-h", "--help"} if one not in README and one != "--tracking-uri"] == []


def test_every_option_in_the_readme_exists():
    known = {option for path in cli.commands() for option in cli.options(*path)}
    foreign = [line for line in commands() if words(line)[0] in FOREIGN]
    lines = [line for line in README.splitlines() if line not in foreign]
    told = {option for line in lines if "fenqun" in line for option in re.findall(r"(?<=[ `])--[a-z-]+", line)}
    assert {"--config", "--only-touched"} <= told <= {*known, "--help"}


@pytest.mark.parametrize("target", sorted({arguments[0] for arguments in ours("make")}))
def test_make_has_the_target(target: str):
    environment = {**os.environ, "MAKEFLAGS": ""}
    done = subprocess.run(
        ["make", "--dry-run", target],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^{target}:.*##", (ROOT / "Makefile").read_text(), re.MULTILINE), "make help does not tell it"


def test_checks_in_the_readme_pass(monkeypatch, capsys, tmp_path):
    """From any folder: what a config names is relative to the config."""
    checks = [arguments for arguments in ours("fenqun") if arguments[0] == "check" and "FILE" not in arguments]
    assert len(checks) >= 2
    monkeypatch.chdir(tmp_path)
    for arguments in checks:
        path = ROOT / arguments[arguments.index("--config") + 1]
        assert main(["check", "--config", str(path)]) == 0, capsys.readouterr().err


def test_the_sample_is_the_shop_that_the_tests_plant(tmp_path):
    planted = {path.name: path.read_bytes() for path in write(tmp_path).iterdir()}
    assert {path.name: path.read_bytes() for path in (ROOT / "deployments" / "sample").iterdir()} == planted


def test_the_example_is_the_config_that_ships_and_is_short():
    (example,) = blocks("yaml")
    assert example == (ROOT / "deployments" / "configs" / "own-csv.yaml").read_text(encoding="utf-8")
    assert len(example.splitlines()) < 20


def test_every_config_that_ships_is_told():
    told = set(re.findall(r"^\| `([\w-]+\.yaml)`", README, re.MULTILINE))
    assert told == {path.name for path in (ROOT / "deployments" / "configs").glob("*.yaml")}


def test_every_extra_is_told():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = README.split("## Extras")[1].split("## ")[0]
    told = set(re.findall(r"^\| `([\w-]+)` \|", extras, re.MULTILINE))
    assert told == {name for name, needs in project["optional-dependencies"].items() if needs}


def test_every_path_in_the_readme_exists():
    told = set(re.findall(r"`((?:deployments|tasks|tests|schemas|flows|expectations|docs)/[\w./-]*)`", README))
    told |= {link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link}
    assert len(told) >= 8
    planned = {"tasks/clusterers/birch.py"}  # the example of a file to write
    assert [path for path in sorted(told - planned) if not (ROOT / path).exists()] == []


def test_every_benchmark_that_is_cited_exists():
    cited = set(re.findall(r"`(bench_\w+)`", README))
    assert len(cited) >= 5
    assert [name for name in sorted(cited) if not (ROOT / "tests" / "benchmarks" / f"{name}.py").exists()] == []


def test_the_picture_is_a_picture_and_small():
    picture = (ROOT / "docs" / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) <= 300 * 1024


def test_every_verb_of_retrain_is_in_the_line_of_verbs():
    source = (ROOT / "flows" / "retrain.py").read_text() + (ROOT / "flows" / "steps.py").read_text()
    verbs = set(re.findall(r"^from tasks\.(\w+) import \w+$", source, re.MULTILINE))
    line = next(block for block in blocks("text") if block.startswith("ingest ->"))
    assert [verb for verb in sorted(verbs - {"ablate", "stores"}) if verb not in line] == []


def test_the_request_over_http_is_answered_by_the_code_that_serves():
    from tasks.serving.requests import asked, bucket_of

    (body,) = re.findall(r"-d '(.*?)'$", README, re.MULTILINE | re.DOTALL)
    users = json.loads(body)["dataframe_records"]
    for user in users:
        user.pop("attributes")  # their columns are known to the model, not to us
    assert bucket_of(asked(users), None)["events"].height == 1


@pytest.mark.slow
def test_own_csv_files_go_through_a_retrain_to_an_export(tmp_path: Path):
    (example,) = blocks("yaml")
    config = yaml.safe_load(example)
    config["source"]["root"] = "data"
    config["search"]["candidates"] = [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [5]}}]  # what is tried, not how
    parse(config, "README.md")
    write(tmp_path / "data")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    environment = {**os.environ, "FENQUN_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}

    def fenqun(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "flows", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = fenqun("retrain", "--config", "own.yaml")
    assert "own-csv: 5 segments" in told
    assert "promoted" in told
    fenqun("segments", "export", "--segmentation", "own-csv", "--output", "members.csv")
    rows = (tmp_path / "members.csv").read_text().splitlines()[1:]
    assert len(rows) == 200
    tastes = {}
    for row in rows:
        user, segment = row.split(",")[:2]
        tastes.setdefault(segment, []).append(int(user[1:]) % 5)
    of_one = sum(max(users.count(taste) for taste in range(5)) for users in tastes.values())
    assert of_one >= 190, "customers of one taste belong together"
    user = fenqun("user", "c7", "--segmentation", "own-csv")
    first = user.splitlines()[0]
    assert re.match(r"c7: s\d+ ", first)
    assert "toys" in first, "named for what its members buy"
