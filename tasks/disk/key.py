"""The key of the servers that we start: a secret file of the state folder. Whoever can read it may use them."""

import base64
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from tasks.disk.lock import held

USER = "fenqun"
HOSTS = ("127.0.0.1", "localhost")
"""Names by which a browser may ask our servers. Any other was made to point here by somebody else's name server."""


def key(home: str) -> str:
    """The key of a state folder; delete the file `key` there, and the next start makes another."""
    file = Path(home) / "key"
    with held(file.with_name(".key.lock")):
        if not file.exists() or not file.stat().st_size:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
                out.write(secrets.token_urlsafe(32))
        return file.read_text()


def password(home: str) -> str:
    """User and key as Prefect's settings want them: `fenqun:KEY`."""
    return f"{USER}:{key(home)}"


def authorization(secret: str) -> str:
    """The value of the header Authorization (HTTP Basic) that shows this key."""
    return f"Basic {base64.b64encode(f'{USER}:{secret}'.encode()).decode()}"


def shown_to_prefect(home: str, address: str | None) -> dict[str, str]:
    """Prefect's settings that show the key to a server of this machine, and to no other.

    Args:
        home: The state folder.
        address: PREFECT_API_URL; where it is None, Prefect starts a temporary server, which asks for the key too.
    """
    if address and not local(address):
        return {}
    shown = {"PREFECT_API_AUTH_STRING": password(home)}
    return shown if address else {**shown, **closed(home)}


def closed(home: str) -> dict[str, str]:
    """Settings of a Prefect server that answers nobody without the key, and lets no other origin read."""
    return {"PREFECT_SERVER_API_AUTH_STRING": password(home), "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ""}


def shown_to_mlflow(home: str, address: str | None) -> dict[str, str]:
    """MLflow's settings that show the key to a tracking server of this machine, and to no other."""
    return {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": key(home)} if local(address or "") else {}


def local(address: str) -> bool:
    """Whether an address is of this machine."""
    return urlsplit(address).hostname in HOSTS
