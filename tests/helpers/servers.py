"""Real servers on free loopback ports: a model that `mlflow models serve` serves, and how to wait for an answer."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, seconds: float):
    """The first true answer of `what`, asked twice a second."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.5)
    raise AssertionError("it did not come about in time")


def asked(url: str, auth: tuple[str, str] | None = None, **body: object):
    """What Prefect's API answers; as its own clients do, asks again where a busy SQLite answers 503."""
    import httpx

    return until(lambda: (found := httpx.post(url, json=body, timeout=30, auth=auth)).status_code != 503 and found, 60)


@contextlib.contextmanager
def served(model: Path, home: Path, log: Path, **environment: str):
    """Serves a model folder; yields a function that asks it. The server's whole process group ends with the block."""
    port = free_port()
    settings = {
        **os.environ, "FENQUN_HOME": str(home), "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment,
    }  # fmt: skip
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local",
               "-h", "127.0.0.1", "-p", str(port)]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=settings, cwd=home, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _wait(port, process, log)
            yield Client(port)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def _wait(port: int, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"the server did not come up: {log.read_text()[-2000:]}")


class Client:
    """Asks a served model."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/invocations"

    def raw(self, users: list[dict], as_of: str, **params: int) -> tuple[int, bytes]:
        """Status and body of an answer."""
        body = json.dumps({"dataframe_records": users, "params": {"as_of": as_of, **params}}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def rows(self, users: list[dict], as_of: str, **params: int) -> list[dict]:
        """Rows of an answer that has to succeed."""
        status, body = self.raw(users, as_of, **params)
        assert status == 200, body[:2000]
        return json.loads(body)["predictions"]
