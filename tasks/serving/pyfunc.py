"""The MLflow model: a shell round the bundle, loaded from this file (models from code), so that it needs no pickle.

It serves the bundle that it was registered with. With FENQUN_FOLLOW=live it looks at the segmentation's pointer at each
request and serves the champion of the moment, swapping whole models. What it does stands in serving/online.py, so that
this file, which is copied into every registered model, stays the same.
"""

import os
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from schemas.errors import FenqunError
from tasks.serving import online
from tasks.serving.requests import records
from tasks.stores.home import home

FOLLOW = "FENQUN_FOLLOW"


class SegmenterModel(PythonModel):
    """Raw users in, assignments out, and what is recommended to them."""

    def load_context(self, context: Any) -> None:
        """Loads and checks the bundle that was registered with this model."""
        facts = {name: str(value) for name, value in (context.model_config or {}).items()}
        folder = Path(context.artifacts["bundle"]).parent
        loaded = online.load(folder, facts["sha256"], online.REGISTERED, facts["catalogue_sha256"])
        self.follower = online.Follower(home(), facts["segmentation"], loaded)

    # No type hints here: MLflow would read the model's signature from them.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Assignments of raw users: one row each, in the order of the request.

        Args:
            context: Of MLflow; not needed.
            model_input: Columns user_id, and optionally events, texts, attributes (see serving/requests.py).
            params: `as_of`, ISO text: look at the users at this moment; the present where it is not given.
                `recommend`: items that each is recommended beside the assignment; none where it is not given.
        """
        follow = os.environ.get(FOLLOW) == "live"
        given = params or {}
        model = self.follower.current() if follow else self.follower.fallback
        try:
            told = online.answer(model, records(model_input), given.get("as_of"), given.get("recommend"))
        except FenqunError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        return pd.DataFrame(online.plain(told), dtype=object)  # objects: a missing number is null, not NaN


set_model(SegmenterModel())
