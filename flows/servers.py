"""Prefect, MLflow and the deployments on loopback, each ended by the process that started it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.errors import FenqunError, UsageError
from tasks.stores.home import home

HOST = "127.0.0.1"
CONFIGS = Path(__file__).resolve().parents[1] / "deployments" / "configs"
TRAINING = "?workflowType=machine_learning"
"""MLflow's UI opens for chat applications, without runs and registry, unless the address behind the # says this."""


@contextmanager
def running(command: list[str], health: str, environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen]:
    """A server in a process group of its own, from the first healthy answer until the block ends.

    Raises:
        FenqunError: it ended, or was not healthy within three minutes; the message names its log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=out, stderr=out, start_new_session=True
        )
    try:
        _await(process, health, log)
        yield process
    finally:
        _end(process)


def _await(process: subprocess.Popen, health: str, log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise FenqunError(f"{process.args[0]} ended at once; is the port taken? See {log}")
        try:
            with urllib.request.urlopen(health, timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise FenqunError(f"no answer from {health} within three minutes; see {log}")


def _end(process: subprocess.Popen) -> None:
    """Ends the server and what it started; kills what does not listen."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


def _check_free(port: int, option: str) -> None:
    """UsageError where something listens already: its answers would pass for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(f"port {port} of {HOST} is taken; choose another with {option}") from error


@contextmanager
def prefect_server(port: int) -> Iterator[str]:
    """A Prefect server on loopback; yields its API address.

    Its older pages are the first ones: the new ones ask an analytics service for settings even when analytics are off.

    Raises:
        UsageError: the port is taken.
        FenqunError: the server did not start.
    """
    _check_free(port, "--prefect-port (make ui PREFECT_PORT=...)")
    api = f"http://{HOST}:{port}/api"
    environment = {"PREFECT_SERVER_UI_API_URL": api, "PREFECT_SERVER_API_HOST": HOST, "PREFECT_API_URL": api}
    environment["PREFECT_SERVER_UI_V2_ENABLED"] = "false"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    with running(command, f"{api}/health", environment, Path(home()) / "logs" / "prefect.log"):
        yield api


@contextmanager
def mlflow_server(port: int) -> Iterator[str]:
    """An MLflow server on loopback over the state folder's SQLite; yields its address.

    Raises:
        UsageError: the port is taken.
        FenqunError: the server did not start.
    """
    _check_free(port, "--mlflow-port (make ui MLFLOW_PORT=...)")
    place = Path(home()) / "mlflow"
    place.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port),
        "--backend-store-uri", f"sqlite:///{place / 'mlflow.db'}", "--artifacts-destination", str(place / "artifacts"),
        "--workers", "1",
    ]  # fmt: skip
    address = f"http://{HOST}:{port}"
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running(command, f"{address}/health", environment, Path(home()) / "logs" / "mlflow.log"):
        yield address


def serve(prefect_port: int, mlflow_port: int) -> None:
    """Serves both, and every flow with the configs of deployments/configs, until interrupted or terminated."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the servers end with us
    os.environ["PREFECT_API_URL"] = f"http://{HOST}:{prefect_port}/api"
    with prefect_server(prefect_port), mlflow_server(mlflow_port) as mlflow:
        print(f"Prefect  http://{HOST}:{prefect_port}/deployments")
        print(f"MLflow   {mlflow}/#/experiments{TRAINING}", flush=True)
        serve_deployments()


def serve_deployments() -> None:
    """Serves every flow: forms in the UI, runs in processes of their own."""
    from prefect import serve as serve_all

    serve_all(*deployments(), pause_on_shutdown=False)


def deployments() -> list[Any]:
    """`retrain` and `assign` once for every config that can be read; `promote` and `rollback` once for all."""
    from flows.assign import assign
    from flows.config import load
    from flows.promote import promote
    from flows.retrain import retrain
    from flows.rollback import rollback

    found = [flow.to_deployment(name="any", tags=["fenqun"]) for flow in (promote, rollback)]
    for path in sorted(CONFIGS.glob("*.yaml")):
        try:
            parameters = {"config": load(path).model_dump(mode="json")}
        except UsageError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        found += [flow.to_deployment(path.stem, parameters=parameters, tags=["fenqun"]) for flow in (retrain, assign)]
    return found
