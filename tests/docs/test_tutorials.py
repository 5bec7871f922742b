"""Every tutorial is followed as it is written: its commands in order, in one shell, in a fresh folder."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.segments.gates import GATES
from tests.helpers.configs import QUICK
from tests.helpers.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
PORTS = re.compile(r"\b(4200|5000|5001)\b")
"""The ports that tutorials serve on; the test takes free ones."""
END = """end() {
  for job in $(jobs -p | tac); do
    kill $job 2>/dev/null || continue
    timeout 60 tail --pid=$job -f /dev/null || kill -9 $job
  done
}
trap end EXIT
"""
"""What a tutorial started ends with it, also where a command in between failed: a worker before the server it asks."""


def script(page: str) -> str:
    """The commands of a page, as one script."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))


def elsewhere(commands: str) -> str:
    """The commands with a free port in place of each that they serve on."""
    free = {port: str(free_port()) for port in set(PORTS.findall(commands))}
    return PORTS.sub(lambda found: free[found[0]], commands)


def follow(commands: str, folder: Path) -> tuple[int, str]:
    """Exit code and output of commands, run as by a reader in the checkout, with a `fenqun` that retrains quickly."""
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
    command = ["bash", "-e", "-o", "pipefail", "-c", END + elsewhere(commands)]
    with (folder / "told").open("w") as told:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(580)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return code, (folder / "told").read_text()


def test_a_command_that_fails_ends_the_tutorial(tmp_path):
    page = "```sh\necho first\n```\n\n```sh\nfalse\n```\n\n```text\nnot run\n```\n\n```sh\necho last\n```\n"
    assert follow(script(page), tmp_path) == (1, "first\n")


def test_every_tutorial_is_linked():
    for page in (ROOT / "README.md", ROOT / "docs" / "index.md"):
        text = page.read_text(encoding="utf-8")
        assert [path.name for path in TUTORIALS if f"tutorials/{path.name})" not in text] == [], page.name


@pytest.mark.parametrize("path", [*TUTORIALS, *ROOT.glob("README*.md")], ids=lambda path: path.name)
def test_what_is_printed_of_gates_counts_all_of_them(path: Path):
    """A printed run of before a gate came is a run that no reader will see."""
    text = path.read_text(encoding="utf-8")
    for asked, silent in re.findall(r"(\d+) gates passed, (\d+) had nothing to compare", text):
        assert int(asked) + int(silent) == len(GATES), "run the page's commands again, and print what they tell"


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_can_be_followed(path: Path, tmp_path: Path):
    commands = script(path.read_text(encoding="utf-8"))
    assert "fenqun retrain " in commands
    code, told = follow(commands, tmp_path)
    assert code == 0, told[-5000:]
    assert "gates passed" in told, "the model of a tutorial becomes live"
