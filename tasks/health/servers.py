"""Ports, the Prefect server that is configured, and environment variables that work against each other."""

import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from schemas.health import Finding
from tasks.disk.key import authorization, local
from tasks.health.served import HOST, MLFLOW, PORTS, PREFECT, served

ASKED = ((PREFECT, "/api/health", "--prefect-port"), (MLFLOW, "/health", "--mlflow-port"))
"""Of each server: what it answers while it is well, and the option of `fenqun ui` that gives it another port."""
SECONDS = 3


def servers(home: str, api: str | None) -> list[Finding]:
    """The ports of `fenqun ui`, its own where it serves and the default ones else, and the configured Prefect server.

    Args:
        home: The state folder, whose key our servers ask for.
        api: Address of Prefect's API, as Prefect has it; None: a command starts a server of its own.
    """
    ports = PORTS | {name: urlsplit(address).port or 80 for name, address in served(home).items()}
    return [*(_port(home, name, ports[name], *one) for name, *one in ASKED), _prefect(home, api)]


def _port(home: str, name: str, port: int, health: str, option: str) -> Finding:
    """Who listens on a port of `fenqun ui`, if anybody."""
    title = f"port {port}"
    with socket.socket() as probe:
        probe.settimeout(SECONDS)
        if probe.connect_ex((HOST, port)):
            return Finding(title, "fine", f"free, for {name}")
    status, said = _ask(home, f"http://{HOST}:{port}{health}")
    if status == 200 and said.strip().lower() in ("true", "ok"):
        return Finding(title, "fine", f"{name} answers")
    return Finding(title, "note", f"taken by something that is not {name}", f"fenqun ui {option} with another number")


def _prefect(home: str, api: str | None) -> Finding:
    """Whether the configured server answers."""
    if not api:
        return Finding(
            "Prefect", "fine", "PREFECT_API_URL is not set: a command starts a server of its own, and ends it"
        )
    status, said = _ask(home, f"{api.rstrip('/')}/health")
    if status == 200 and said.strip().lower() == "true":
        return Finding("Prefect", "fine", f"{api} answers")
    what = said if status is None else f"status {status}, which is not Prefect's"
    return Finding(
        "Prefect",
        "wrong",
        f"{api} does not answer ({what})",
        "start it, mend or unset PREFECT_API_URL, here or in Prefect's profile",
    )


def _ask(home: str, address: str) -> tuple[int | None, str]:
    """Status and the head of the body; None and the reason where nobody answers. No proxy is asked.

    Servers of this machine are shown the state folder's key, where it has one.
    """
    file = Path(home) / "key"  # read, not made: a look changes nothing
    shown = {"Authorization": authorization(file.read_text())} if local(address) and file.is_file() else {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(address, headers=shown), timeout=SECONDS) as answer:
            return answer.status, answer.read(200).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.reason
    except (OSError, ValueError) as error:  # ValueError: no address at all
        return None, str(getattr(error, "reason", error))


def variables(home: str, api: str | None) -> list[Finding]:
    """Environment variables that lead elsewhere than fenqun would."""
    found = [Finding("environment", "note", what, remedy) for what, remedy in _odd(home, api)]
    return found or [Finding("environment", "fine", "no variable is in the way")]


def _odd(home: str, api: str | None) -> Iterator[tuple[str, str]]:
    """(what, remedy) of each variable that is in the way."""
    env = os.environ
    elsewhere = env.get("PREFECT_HOME", "")
    if elsewhere and Path(elsewhere).expanduser().resolve() != Path(home) / "prefect":
        yield f"PREFECT_HOME={elsewhere}: Prefect's runs are not in the state folder", "unset PREFECT_HOME"
    if env.get("MLFLOW_TRACKING_URI"):
        yield "MLFLOW_TRACKING_URI is set, and not what runs record to", "set ledger.tracking_uri in the config"
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        if env.get(name):
            yield f"{name} is set: MLflow may record into a run or experiment of others", f"unset {name}"
    if env.get("PREFECT_SERVER_API_AUTH_STRING") and not env.get("PREFECT_API_AUTH_STRING"):
        yield "PREFECT_SERVER_API_AUTH_STRING without PREFECT_API_AUTH_STRING: runs are refused", "set both alike"
    yield from _proxied(urlsplit(api or "").hostname or HOST)


def _proxied(host: str) -> Iterator[tuple[str, str]]:
    """A proxy that would be asked for our own servers."""
    proxies = urllib.request.getproxies()
    if proxies.keys() & {"http", "all"} and not urllib.request.proxy_bypass(host):
        yield f"a proxy is set, and would be asked for {host}", f"export NO_PROXY={host},localhost"
