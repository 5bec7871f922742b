"""MLflow's applications, each behind a door of ours."""

from pathlib import Path

from starlette.types import ASGIApp

from tasks.disk.key import key
from tasks.serving.answers import plainly
from tasks.serving.bounds import bounded
from tasks.serving.door import behind_door
from tasks.stores.home import home


def tracking() -> ASGIApp:
    """MLflow's pages and API; `mlflow server --app-name fenqun` serves it (entry-point group mlflow.app)."""
    from mlflow.server.fastapi_app import app

    return behind_door(app, key(home()))


def scoring(model: Path) -> ASGIApp:
    """MLflow's scoring server (`/invocations`, `/ping`) of a model folder, which is loaded: check it before.

    It asks for no key: a recommender of this machine may ask, and web pages may not.
    """
    from mlflow.pyfunc import load_model, scoring_server

    return behind_door(bounded(plainly(scoring_server.init(load_model(str(model))))), None)
