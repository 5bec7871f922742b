"""Prefect, MLflow and the deployments on loopback, behind a door, each ended by the process that started it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.deployments import deployments
from schemas.errors import FenqunError, UsageError
from tasks.disk import database
from tasks.disk.key import authorization, closed, key, shown_to_prefect
from tasks.health.served import HOST, MLFLOW, PREFECT, serving
from tasks.serving.door import PARAMETER, behind_door
from tasks.stores.home import home, made

if TYPE_CHECKING:
    from starlette.types import ASGIApp

TRAINING = "?workflowType=machine_learning"
"""MLflow's UI opens for chat applications, without runs and registry, unless the address behind the # says this."""


@dataclass(frozen=True)
class Starting:
    """A server that was started a moment ago.

    Attributes:
        address: Where it will answer, at `/health` first.
        log: What it says.
        process: Of its own group.
    """

    address: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def ready(self) -> str:
        """Its address, once it answers.

        Raises:
            FenqunError: it ended, or was not healthy within three minutes; the message names its log.
        """
        health = f"{self.address}/health"
        asked = urllib.request.Request(health, headers={"Authorization": authorization(key(home()))})
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise FenqunError(f"{self.log.stem} ended at once; is the port taken? See {self.log}")
            try:
                with urllib.request.urlopen(asked, timeout=2):
                    return self.address
            except OSError:
                time.sleep(0.3)
        raise FenqunError(f"no answer from {health} within three minutes; see {self.log}")


@contextmanager
def running(name: str, command: list[str], address: str, environment: Mapping[str, str]) -> Iterator[Starting]:
    """A server in a process group of its own, from its start, which takes a while, until the block ends."""
    log = Path(home()) / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield Starting(address, log, process)
    finally:
        _end(process)


def _end(process: subprocess.Popen) -> None:
    """Ends the server and what it started; kills what does not listen."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


def check_free(port: int, option: str) -> None:
    """UsageError where something listens already: its answers would pass for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(f"port {port} of {HOST} is taken; choose another with {option}") from error


@contextmanager
def prefect_server(port: int) -> Iterator[Starting]:
    """A Prefect server on loopback, behind a door; its address is that of the API.

    Its older pages are the first ones: the new ones ask an analytics service for settings even when analytics are off.

    Raises:
        UsageError: the port is taken.
    """
    check_free(port, "--prefect-port (make ui PREFECT_PORT=...)")
    api = f"http://{HOST}:{port}/api"
    environment = {"PREFECT_SERVER_UI_API_URL": "/api", "PREFECT_SERVER_API_HOST": HOST, "PREFECT_API_URL": api}
    environment |= {"PREFECT_SERVER_UI_V2_ENABLED": "false", **closed(made())}
    environment |= shown_to_prefect(home(), api)  # the server's own services are its clients
    command = [sys.executable, "-m", "uvicorn", "--factory", "flows.servers:prefect_app", "--host", HOST]
    command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    with running("prefect", command, api, environment) as server:
        yield server


def prefect_app() -> "ASGIApp":
    """Prefect's pages and API behind a door."""
    from prefect.server.api.server import create_app

    return behind_door(create_app(final=True), key(home()))


@contextmanager
def mlflow_server(port: int) -> Iterator[Starting]:
    """An MLflow server on loopback, behind a door, over the state folder's SQLite.

    Its own checks would let in every port of this machine, and names such as 10.example.org for private addresses.

    Raises:
        UsageError: the port is taken.
    """
    check_free(port, "--mlflow-port (make ui MLFLOW_PORT=...)")
    place = Path(made()) / "mlflow"
    place.mkdir(parents=True, exist_ok=True)
    database.relocate(home())
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        HOST,
        "--port",
        str(port),
        "--backend-store-uri",
        f"sqlite:///{place / 'mlflow.db'}",
        "--artifacts-destination",
        str(place / "artifacts"),
        "--workers",
        "1",
        "--app-name",
        "fenqun",
        "--uvicorn-opts=--no-access-log",
        "--allowed-hosts",
        f"{HOST}:{port},localhost:{port}",
        "--cors-allowed-origins",
        f"http://{HOST}:{port}",
    ]
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running("mlflow", command, f"http://{HOST}:{port}", environment) as server:
        yield server


def serve(prefect_port: int, mlflow_port: int) -> None:
    """Serves both, and every flow with the configs of deployments/configs, until interrupted or terminated."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the servers end with us
    os.environ["PREFECT_API_URL"] = api = f"http://{HOST}:{prefect_port}/api"
    os.environ.update(shown_to_prefect(made(), api))
    asked = f"?{PARAMETER}={key(home())}"
    with prefect_server(prefect_port) as prefect, mlflow_server(mlflow_port) as mlflow:
        served = deployments()  # takes seconds, in which both start
        pages = prefect.ready().removesuffix("/api"), mlflow.ready()
        print("Open one of these once: either lets this browser into both.")
        print(f"Prefect  {pages[0]}/deployments{asked}")
        print(f"MLflow   {pages[1]}/{asked}#/experiments{TRAINING}", flush=True)
        from prefect import serve as serve_all

        with serving(home(), {PREFECT: pages[0], MLFLOW: pages[1]}):
            serve_all(*served, pause_on_shutdown=False)
