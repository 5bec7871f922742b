"""All servers that fenqun opens, for real, on free ports over one state folder; and an honest client of each."""

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tasks.disk.key import authorization, key, shown_to_prefect
from tasks.serving.door import PARAMETER
from tests.helpers import versions
from tests.helpers.servers import ROOT, free_port, until

SECRET = "s3cret"
"""Stands in what Prefect and MLflow keep."""

SERVERS = ("prefect", "mlflow", "model", "temporary")


@dataclass(frozen=True)
class House:
    """All servers that we open, their ports and processes, and an honest client of each."""

    home: Path
    ports: dict[str, int]
    processes: dict[str, subprocess.Popen]
    client: httpx.Client
    deployment: str = ""
    cookie: str = ""

    def ask(self, server: str, method: str, path: str, **more) -> httpx.Response:
        """An honest request."""
        shown = {"Authorization": authorization(key(str(self.home)))}
        url = f"http://127.0.0.1:{self.ports[server]}{path}"
        send = functools.partial(self.client.request, method, url, headers=shown, **more)
        return until(lambda: (found := send()).status_code != 503 and found, 60)

    def state(self) -> dict[str, object]:
        """What a stranger could have changed."""
        kept = {server: self.ask(server, "POST", "/api/variables/filter", json={}).json() for server in ("prefect",)}
        kept["temporary"] = self.ask("temporary", "POST", "/api/variables/filter", json={}).json()
        deployed = self.ask("prefect", "GET", f"/api/deployments/{self.deployment}").json()
        kept["deployment"] = {name: deployed[name] for name in ("name", "pull_steps", "paused", "parameters")}
        kept["runs"] = self.ask("prefect", "POST", "/api/flow_runs/count", json={}).json()
        kept["experiments"] = self.ask("mlflow", "GET", "/api/2.0/mlflow/experiments/search?max_results=9").json()
        kept["models"] = self.ask("mlflow", "GET", "/api/2.0/mlflow/registered-models/search").json()
        return kept


def up(house: House) -> bool:
    """Whether all servers answer."""
    ended = {name: process.returncode for name, process in house.processes.items() if process.poll() is not None}
    assert not ended, (house.home.parent / "log").read_text()[-4000:]
    try:
        paths = {"prefect": "/api/deployments/name/rollback/any-ui", "mlflow": "/health", "model": "/ping"}
        paths["temporary"] = "/api/health"
        return all(house.ask(server, "GET", path).is_success for server, path in paths.items())
    except httpx.HTTPError:
        return False


@contextmanager
def all_open(home: Path) -> Iterator[House]:
    """Every server, until the block ends; its log stands beside the state folder, which is made."""
    ports = {server: free_port() for server in SERVERS}
    environment = {
        **os.environ,
        "FENQUN_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "PYTHONPATH": str(ROOT),
    }
    temporary = (
        "import sys, time; from prefect.server.api.server import SubprocessASGIServer as Server; "
        "Server(int(sys.argv[1])).start(); time.sleep(3600)"
    )
    fenqun = [sys.executable, "-m", "flows"]
    commands = {
        "ui": [*fenqun, "ui", "--prefect-port", str(ports["prefect"]), "--mlflow-port", str(ports["mlflow"])],
        "model": [*fenqun, "serve", "--segmentation", versions.NAME, "--port", str(ports["model"])],
        "temporary": [sys.executable, "-c", temporary, str(ports["temporary"])],
    }
    home.mkdir(mode=0o700)
    old = os.umask(0o077)
    bundle, bucket = versions.fitted()
    versions.registered(home, bundle, bucket)
    versions.promoted(home, "1")
    settings = {"temporary": {"PREFECT_HOME": str(home / "temporary"), **shown_to_prefect(str(home), None)}}
    processes: dict[str, subprocess.Popen] = {}
    with (home.parent / "log").open("w") as log:
        for name, command in commands.items():
            processes[name] = subprocess.Popen(
                command, cwd=ROOT, env={**environment, **settings.get(name, {})}, stdout=log, stderr=log
            )
    os.umask(old)
    try:
        made = House(home, ports, processes, httpx.Client(timeout=30))
        until(lambda: up(made), 400)
        found = made.ask("prefect", "GET", "/api/deployments/name/promote/any-ui").json()["id"]
        for server in ("prefect", "temporary"):
            made.ask(server, "POST", "/api/variables/", json={"name": "kept", "value": SECRET}).raise_for_status()
        made.ask("mlflow", "POST", "/api/2.0/mlflow/experiments/create", json={"name": SECRET}).raise_for_status()
        signed_in = httpx.get(f"http://127.0.0.1:{ports['prefect']}/?{PARAMETER}={key(str(home))}").cookies
        cookie = "; ".join(f"{name}={value}" for name, value in signed_in.items())
        yield House(home, ports, processes, made.client, found, cookie)
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGINT)
        for process in processes.values():
            process.wait(60)
