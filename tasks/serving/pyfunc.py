"""The MLflow model: a shell round the bundle, loaded from this file (models from code), so that it needs no pickle.

It serves the bundle that it was registered with. With FENQUN_FOLLOW=live it looks at the segmentation's pointer at each
request and serves the champion of the moment, swapping whole models.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from schemas.tables import AS_OF, Bucket
from tasks.segments import bundle
from tasks.segments.segmenter import Segmenter
from tasks.serving.building import CATALOGUE
from tasks.serving.compose import segmenter
from tasks.serving.requests import bucket_of
from tasks.stores import pointer
from tasks.stores.home import home

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

FOLLOW = "FENQUN_FOLLOW"


class Loaded(NamedTuple):
    """One model, whole: what a request is answered with."""

    version: str
    segmenter: Segmenter
    items: "pl.DataFrame | None"
    as_of: datetime


class SegmenterModel(PythonModel):  # type: ignore[misc]
    """Raw users in, assignments out."""

    def load_context(self, context: Any) -> None:
        """Loads and checks the bundle that was registered with this model."""
        facts = context.model_config or {}
        folder = Path(context.artifacts["bundle"])
        self.segmentation = str(facts["segmentation"])
        self.loaded = load(folder, folder.parent / CATALOGUE, str(facts["sha256"]), "registered")
        self.revision = -1

    # No type hints here: MLflow would read the model's signature from them.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Assignments of raw users: one row each, in the order of the request.

        Args:
            context: Of MLflow; not needed.
            model_input: Columns user_id, and optionally events, texts, attributes (see serving/requests.py).
            params: `as_of`, ISO text: look at the users at this moment; the present where it is not given.
        """
        model = self.current()
        told = (params or {}).get(AS_OF)
        moment = datetime.fromisoformat(told) if told else datetime.now(UTC)
        bucket: Bucket = bucket_of(model_input.to_dict("records"), model.items)
        answer = model.segmenter.assign(bucket, moment if moment.tzinfo else moment.replace(tzinfo=UTC), model.version)
        return ordered(answer, model_input).to_pandas()

    def current(self) -> Loaded:
        """The registered model, or the live one where the pointer is followed."""
        if os.environ.get(FOLLOW) != "live":
            return self.loaded
        now = pointer.read(home(), self.segmentation)
        if now.live is not None and now.revision != self.revision:
            folder = Path(home()) / now.live.bundle
            self.loaded = load(folder, folder.parent / CATALOGUE, None, now.live.model_version)
            self.revision = now.revision
        return self.loaded


def load(folder: Path, catalogue: Path, sha256: str | None, version: str) -> Loaded:
    """A bundle folder and the catalogue beside it."""
    import polars as pl

    whole = bundle.load(folder, sha256)
    items = pl.read_parquet(catalogue) if catalogue.exists() else None
    return Loaded(version, segmenter(whole), items, whole.manifest.as_of)


def ordered(answer: "pl.DataFrame", asked: "pd.DataFrame") -> "pl.DataFrame":
    """Rows in the order in which users were asked for."""
    import polars as pl

    from schemas.tables import USER_ID

    order = pl.DataFrame({USER_ID: asked[USER_ID].tolist()})
    return order.join(answer, on=USER_ID, how="left", maintain_order="left")


set_model(SegmenterModel())
