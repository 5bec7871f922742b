"""The registered model as MLflow loads it for its server: training's answers, and one line for a bad request."""

import mlflow.pyfunc
import numpy as np
import polars as pl
import pytest
from mlflow.exceptions import MlflowException

from tests.helpers.requests import raw_users
from tests.helpers.versions import AS_OF


@pytest.fixture
def served(shop, monkeypatch):
    """The registered model as MLflow loads it for its server."""
    home, (first, _), _, ledger = shop
    monkeypatch.setenv("FENQUN_HOME", str(home))
    monkeypatch.delenv("FENQUN_FOLLOW", raising=False)
    with ledger.model_folder(first.version) as folder:
        yield mlflow.pyfunc.load_model(str(folder))


def test_mlflows_model_answers_what_training_answered(shop, served):
    _, (first, _), bucket, _ = shop
    frame = pl.DataFrame(raw_users(bucket, 12)).to_pandas()
    told = served.predict(frame, {"as_of": AS_OF.isoformat()}).to_dict("records")
    trained = {row["user_id"]: row for row in pl.read_parquet(f"{first.assignments.path}/*.parquet").to_dicts()}
    for row in told:
        expected = trained[row["user_id"]]
        same = ("segment_id", "confidence", "distance", "second_segment_id", "status", "memberships")
        assert {k: row[k] for k in same} == {k: expected[k] for k in same}
    weights = [sum(one["weight"] for one in row["memberships"]) for row in told if row["memberships"]]
    assert weights
    assert weights == pytest.approx([1.0] * len(weights))


def test_the_signature_names_what_is_answered(shop, served):
    _, _, bucket, _ = shop
    told = served.predict(pl.DataFrame(raw_users(bucket, 2)).to_pandas(), {"as_of": AS_OF.isoformat()})
    named = {column.name: column for column in served.metadata.signature.outputs}
    assert set(told.columns) <= set(named)
    soft = named["memberships"].type.dtype.to_dict()["properties"]
    assert {name: one["type"] for name, one in soft.items()} == {"segment_id": "string", "weight": "double"}


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"events": [{"item_id": "i1", "event": "view", "timestamp": "soon"}]}, "timestamp: not a timestamp"),
        ({"events": [{"item": "i1", "event": "view", "timestamp": 1e9}]}, "no column 'item'; did you mean item_id"),
        ({"event": [{"item_id": "i1", "event": "view", "timestamp": 1e9}]}, "no column 'event'; did you mean events?"),
        ({"shoe size": 3}, "no column 'shoe size'; it has user_id, events, texts, attributes"),
        ({"events": [{"event": "view", "timestamp": 1e9}]}, "item_id: empty where a value is required"),
        ({"events": "[{"}, "not JSON"),
        ({"events": {"item_id": "i1"}}, "list of rows"),
        ({"attributes": {"shoe size": 3}}, "not known to the model"),
        ({"attributes": [1]}, "has to be an object"),
        ({"events": 5.5}, "list of rows"),
        ({"events": [{"user_id": "y", "item_id": "i1", "event": "view", "timestamp": 1e9}]}, "name another user_id"),
        ({"attributes": {"user_id": "y"}}, "name another user_id"),
        ({"events": [{"item_id": "i1", "event": "view", "timestamp": True}]}, "timestamp: not a timestamp"),
        ({"events": [{"item_id": "i1", "event": "view", "timestamp": 1e9, "value": np.inf}]}, "value: NaN or infinite"),
        (
            {"texts": [{"text": "half a letter \ud800", "timestamp": 1e9, "kind": "post"}]},
            "texts.text: not valid UTF-8",
        ),
    ],
)
def test_a_request_that_cannot_be_read_is_told_in_one_line(served, user, words):
    import pandas as pd

    with pytest.raises(MlflowException, match=words) as caught:
        served.predict(pd.DataFrame([{"user_id": "x", **user}]))
    assert caught.value.get_http_status_code() == 400
    assert "\n" not in str(caught.value)
