"""Where Prefect's and MLflow's pages are, for who is told of a run."""

from schemas.config import LedgerConfig
from schemas.pages import Pages
from tasks.health.served import HOST, MLFLOW, PORTS, PREFECT, served


def pages(home: str, prefect: str | None, ledger: LedgerConfig) -> Pages:
    """Where pages are: on servers that are configured, else where `fenqun ui` serves, else where it would.

    Args:
        home: The state folder.
        prefect: Address of the configured Prefect server's pages, if there is one.
        ledger: Where MLflow is.
    """
    now, prefect = served(home), None if "@" in (prefect or "") else prefect  # no password is told
    found = {PREFECT: prefect or now.get(PREFECT), MLFLOW: ledger.server or now.get(MLFLOW)}
    addresses = {name: address or f"http://{HOST}:{PORTS[name]}" for name, address in found.items()}
    closed = tuple(name for name, address in found.items() if address is None)
    return Pages(prefect=addresses[PREFECT], mlflow=addresses[MLFLOW], closed=closed)
