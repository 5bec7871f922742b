"""A flow in this process, with Prefect's temporary server where none is configured."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from threading import Thread
from typing import Any

from flows.stages import Stages
from schemas.errors import FenqunError
from schemas.secrets import redact
from tasks.disk.key import shown_to_prefect
from tasks.plugins.find import settle
from tasks.stores.home import made


def here(flow: str, **arguments: Any) -> Any:
    """Runs the flow of a name and returns what came out.

    Raises:
        FenqunError: a Prefect server is configured and does not answer.
    """
    with Stages() as stages:
        with stages.at("start"), prefect_starting():
            module = importlib.import_module(f"flows.{flow}")
            settle()
        with stages.of_flow():
            return getattr(module, flow)(**arguments)


def configured() -> tuple[str | None, bool]:
    """Prefect's address as Prefect will take it, and whether a key for it is set; no folder is made, unlike by import.

    A profile, `prefect.toml`, `pyproject.toml` or `.env` may name one as well as the environment.
    """
    from prefect.settings import Settings

    api = Settings().api
    return api.url, api.auth_string is not None


@contextmanager
def prefect_starting() -> Iterator[None]:
    """Starts Prefect's temporary server, where none is configured, while the block imports what a flow needs.

    Both take seconds. What goes wrong with the temporary server here goes wrong again, and is told, when the flow asks
    for it.

    Raises:
        FenqunError: a server is configured and does not answer, or not to us.
    """
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    place = made()
    address, own = configured()
    if not (address and own):  # the user's own key of another server
        from prefect.context import refresh_global_settings_context

        os.environ.update(shown_to_prefect(place, address))
        refresh_global_settings_context()  # asking for the address made Prefect read the environment
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    from flows.temporary import Temporary  # Prefect's server with it: the thread imports nothing while the block does

    address = PREFECT_API_URL.value()
    if not address:
        Temporary()
    silent: list[Exception] = []

    def start() -> None:
        with suppress(Exception), get_client(sync_client=True) as client:
            error = client.api_healthcheck()
            if address and error:
                silent.append(error)

    # A daemon: Prefect may wait three minutes for a server that does not start, and Ctrl-C ends the command before.
    starting = Thread(target=copy_context().run, args=(start,), name="start Prefect", daemon=True)
    starting.start()
    yield
    starting.join()
    where = f"Prefect at {redact(str(address))}"
    if silent and getattr(getattr(silent[0], "response", None), "status_code", None) == 401:
        raise FenqunError(f"{where} asks for another key; set PREFECT_API_AUTH_STRING. Nothing was run")
    if silent:
        raise FenqunError(f"{where} does not answer; start it, or unset PREFECT_API_URL. Nothing was run")
