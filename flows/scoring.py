"""A registered model on loopback, behind a door."""

import os

import uvicorn

from flows.servers import check_free
from schemas.config import LedgerConfig
from tasks.health.served import HOST
from tasks.models.fetch import model_folder
from tasks.registry.readers import expect
from tasks.serving.apps import scoring
from tasks.stores.home import home
from tasks.stores.ledger import Ledger


def serve_model(segmentation: str, version: str | None, port: int) -> None:
    """Serves a registered model on loopback until interrupted; where no version is named, the live one of the moment.

    Raises:
        UsageError: the port is taken, or there is no such version.
        DataError: the model is not as fenqun registered it.
    """
    check_free(port, "--port")
    if version is None:
        version = expect(home(), segmentation).model_version
        os.environ["FENQUN_FOLLOW"] = "live"
    with model_folder(version, Ledger(LedgerConfig(), home(), segmentation)) as folder:
        app = scoring(folder)
        print(f"{segmentation} version {version}  http://{HOST}:{port}/invocations", flush=True)
        uvicorn.run(app, host=HOST, port=port, log_level="warning")
