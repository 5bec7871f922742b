"""Every tutorial is followed as it is written: its commands in order, in one shell, in a fresh folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.configs import QUICK
from tests.helpers.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
PORTS = re.compile(r"\b(4200|5000|5001)\b")
"""The ports that tutorials serve on; the test takes free ones."""
END = "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n"
"""What a tutorial started ends with it, also where a command in between failed."""


def script(page: str) -> str:
    """The commands of a page, as one script."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))


def elsewhere(commands: str) -> str:
    """The commands with a free port in place of each that they serve on."""
    free = {port: str(free_port()) for port in set(PORTS.findall(commands))}
    return PORTS.sub(lambda found: free[found[0]], commands)


def follow(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs commands as a reader in the checkout would, but for a `fenqun` that retrains quickly."""
    (folder / "bin").mkdir()
    for name in ("deployments", "flows"):
        (folder / name).symlink_to(ROOT / name)
    quick = " ".join(f"--set {one}" for one in QUICK)
    program = folder / "bin" / "fenqun"
    run = f'exec "{sys.executable}" -m flows "$@"'
    program.write_text(f'#!/bin/sh\n[ "$1" = retrain ] && {run} {quick}\n{run}\n')
    program.chmod(0o700)
    paths = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": paths, "PYTHONPATH": str(ROOT), "FENQUN_HOME": str(folder / "home")}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", END + elsewhere(commands)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )


def test_a_command_that_fails_ends_the_tutorial(tmp_path):
    page = "```sh\necho first\n```\n\n```sh\nfalse\n```\n\n```text\nnot run\n```\n\n```sh\necho last\n```\n"
    done = follow(script(page), tmp_path)
    assert (done.returncode, done.stdout) == (1, "first\n")


def test_every_tutorial_is_linked():
    for page in (ROOT / "README.md", ROOT / "docs" / "index.md"):
        text = page.read_text(encoding="utf-8")
        assert [path.name for path in TUTORIALS if f"tutorials/{path.name})" not in text] == [], page.name


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_can_be_followed(path: Path, tmp_path: Path):
    commands = script(path.read_text(encoding="utf-8"))
    assert "fenqun retrain " in commands
    done = follow(commands, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert "gates passed" in done.stdout, "the model of a tutorial becomes live"
