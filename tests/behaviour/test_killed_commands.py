"""A command that is killed with `kill -9` leaves no server and no run that seems to go on."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from schemas.config import LedgerConfig
from tasks.registry.promotion import mend
from tasks.stores.ledger import Ledger
from tasks.stores.pointer import Pointer
from tests.helpers.configs import SMALL

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

STARTING = """
from flows.__main__ import environment
environment()
from flows.running import prefect_starting
with prefect_starting():
    pass
from prefect.server.api.server import SubprocessASGIServer
(server,) = SubprocessASGIServer._instances.values()
print(server.server_process.pid, flush=True)
input()
"""
RUNNING = """
import sys
from schemas.config import LedgerConfig
from tasks.stores.ledger import Ledger
ledger = Ledger(LedgerConfig(), sys.argv[1], "shop")
with ledger.recorded("retrain", {}, {}) as run_id:
    inner = ledger.start("kmeans", {}, {}, run_id)
    print(run_id, inner, flush=True)
    input()
"""

REGISTERING = """
import os, signal, sys
from flows.__main__ import environment, main
environment()
from tasks.stores.ledger import Ledger
real = Ledger.register
def register(*arguments, **named):
    real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
Ledger.register = register
main(["retrain", "--config", sys.argv[1]])
"""

STAYING = """
import os, sys, time
from flows.__main__ import environment, main
environment()
from tasks.stores.ledger import Ledger
def register(*arguments, **named):
    from prefect.server.api.server import SubprocessASGIServer
    (server,) = SubprocessASGIServer._instances.values()
    print("at", server.server_process.pid, flush=True)
    time.sleep(300)
Ledger.register = register
sys.exit(main(["retrain", "--config", sys.argv[1]]))
"""


def started(code: str, home: Path) -> tuple[subprocess.Popen[str], list[str]]:
    """A process that stays in the middle of `code`, and the words that it said there."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(home)], cwd=ROOT, env={**os.environ, "FENQUN_HOME": str(home)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline().split()


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


def test_the_temporary_server_ends_with_a_command_that_is_killed(tmp_path):
    process, (pid,) = started(STARTING, tmp_path)
    assert alive(int(pid))
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    until = time.monotonic() + 20
    while alive(int(pid)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(int(pid))


def test_runs_of_a_killed_process_are_closed_by_the_next_and_those_that_go_on_are_not(tmp_path):
    going, one = started(RUNNING, tmp_path)
    killed, other = started(RUNNING, tmp_path)
    killed.kill()
    killed.wait(30)
    ledger = Ledger(LedgerConfig(), str(tmp_path), "shop")
    mend(Pointer(), ledger)
    status = {run: ledger.client.get_run(run).info.status for run in (*one, *other)}
    assert status == dict.fromkeys(one, "RUNNING") | dict.fromkeys(other, "KILLED")
    assert going.communicate("\n", timeout=30)[0] == ""
    assert ledger.client.get_run(one[0]).info.status == "FINISHED"
    assert list((tmp_path / "mlflow" / "going" / "shop").glob("[0-9a-f]*")) == []


def test_a_version_whose_run_was_killed_can_be_promoted_and_its_run_is_closed(tmp_path):
    config, env = tmp_path / "small.yaml", {**os.environ, "FENQUN_HOME": str(tmp_path / "home")}
    config.write_text(yaml.safe_dump(SMALL))
    killed = subprocess.run([sys.executable, "-c", REGISTERING, str(config)], cwd=ROOT, env=env, check=False)
    assert killed.returncode == -signal.SIGKILL
    words = ["promote", "--segmentation", "small", "--version", "1", "--author", "ann", "--reason", "it is whole"]
    done = subprocess.run(
        [sys.executable, "-m", "flows", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "version 1 is live" in done.stdout) == (0, True), done.stderr
    ledger = Ledger(LedgerConfig(), str(tmp_path / "home"), "small")
    runs = ledger.client.search_runs([ledger.experiment_id], "tags.`fenqun.flow` != ''")
    assert sorted(run.info.status for run in runs) == ["FINISHED", "KILLED"]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_ends_a_run_and_both_pages_say_so(end: signal.Signals, tmp_path: Path):
    """Ctrl-C in a terminal, and supervisors: the temporary server ended too, and the flow looked for it for minutes."""
    config, home = tmp_path / "small.yaml", tmp_path / "home"
    config.write_text(yaml.safe_dump(SMALL))
    log, prefect = tmp_path / "log", home / "prefect"
    known = {**os.environ, "FENQUN_HOME": str(home), "PREFECT_HOME": str(prefect)}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", STAYING, str(config)], cwd=ROOT, env=known,
            stdout=subprocess.PIPE, stderr=out, text=True, start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        server = next(int(line.split()[1]) for line in process.stdout if line.startswith("at "))
        os.killpg(process.pid, end)
        assert process.wait(60) == (130 if end == signal.SIGINT else -end), log.read_text()
    until = time.monotonic() + 20
    while alive(server) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(server)
    assert "Error" not in log.read_text()
    ledger = Ledger(LedgerConfig(), str(home), "small")
    (run,) = ledger.client.search_runs([ledger.experiment_id], "tags.`fenqun.flow` != ''")
    with closing(sqlite3.connect(prefect / "prefect.db")) as pages:
        (state,) = pages.execute("SELECT state_type FROM flow_run").fetchone()
    assert (run.info.status, state) == ("FAILED", "CRASHED")
