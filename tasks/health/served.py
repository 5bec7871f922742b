"""Where `fenqun ui` serves: a small file of the state folder, for as long as it does."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

HOST = "127.0.0.1"
PREFECT, MLFLOW = "Prefect", "MLflow"
PORTS = {PREFECT: 4200, MLFLOW: 5000}
"""Where they are served unless other ports are asked for."""
FILE = "served.json"
SECONDS = 1


@contextmanager
def serving(home: str, pages: Mapping[str, str]) -> Iterator[None]:
    """Tells all who share the state folder where the pages are, until the block ends.

    Args:
        home: The state folder.
        pages: Addresses of Prefect's and of MLflow's pages.
    """
    file, told = Path(home) / FILE, json.dumps({**pages, "home": home, "process": os.getpid()}, indent=1)
    aside = file.with_name(f".{FILE}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(told)
    aside.replace(file)
    try:
        yield
    finally:
        if file.is_file() and file.read_text() == told:  # another one may have come after us
            file.unlink()


def served(home: str) -> dict[str, str]:
    """Addresses of Prefect's and of MLflow's pages; none where nothing serves this state folder.

    A file of a server that was killed, or that came with a copied folder, counts for nothing.
    """
    try:
        told = json.loads((Path(home) / FILE).read_text())
        pages = {name: str(told[name]) for name in PORTS}
        alive = told["home"] == home and _runs(int(told["process"])) and all(map(_answers, pages.values()))
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return pages if alive else {}


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs, for somebody else
        return True
    return True


def _answers(address: str) -> bool:
    """Whether anything listens there: an OSError where nothing does."""
    where = urlsplit(address)
    with socket.create_connection((where.hostname or HOST, where.port or 80), SECONDS):
        return True
