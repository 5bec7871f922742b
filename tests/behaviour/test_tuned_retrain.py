"""A retrain whose language model is tuned: the registered model loads anywhere and says what training said."""

import re
import shutil

import polars as pl
import pytest

from flows.config import parse
from tests.helpers.configs import SMALL
from tests.helpers.language_models import tiny_bert
from tests.helpers.requests import raw_users

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]


def words() -> list[str]:
    """What the titles of the planted items, and the planted texts, are made of."""
    from tasks.sources import synthetic

    told = synthetic.read(synthetic.Config(**SMALL["source"]))
    texts = [text for name, column in (("items", "title"), ("texts", "text")) for batch in told[name]
             for text in batch.column(column).to_pylist()]  # fmt: skip
    return sorted({word for text in texts for word in re.findall("[a-z]+", text.lower())})


def config(folder, **tune):
    how = {
        "method": "full",
        "steps": 80,
        "batch_size": 64,
        "learning_rate": 0.003,
        "temperature": 0.2,
        "top": 100,
        **tune,
    }
    encoder = {"kind": "transformer", "model": str(folder), "dtype": "float32", "tune": how}
    return parse({**SMALL, "features": [{"kind": "behaviour"}], "encoder": encoder}, "small")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, prefect_harness):
    from flows.retrain import retrain

    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("model") / "bert"
    tiny_bert(folder, words=words())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FENQUN_HOME", str(home))
        given = config(folder)
        summary = retrain(given)
        assert summary.promoted, [gate for gate in summary.verdict.gates if not gate.passed]
        yield home, given, summary


def run_of(home, run_id):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{home}/mlflow/mlflow.db").get_run(run_id).data


def test_the_run_says_that_and_by_how_much_the_tuned_model_is_better(trained):
    home, _, summary = trained
    told = run_of(home, summary.run_id)
    assert told.metrics["texts.tuned.used"] == 1
    assert told.metrics["texts.tuned.recall"] > told.metrics["texts.tuned.recall_frozen"]
    assert told.metrics["texts.tuned.gain_low"] > 0
    assert "tuned, and used" in told.tags["fenqun.tuned"]


def test_each_slice_tunes_its_own(trained):
    home, *_ = trained
    tuned = [*(home / "artifacts" / "tuned").glob("*/state.safetensors")]
    assert len(tuned) >= 3  # all of everyone's history, the first 70 % and the first 80 %
    assert len({one.read_bytes() for one in tuned}) == len(tuned)


def test_the_registered_model_agrees_elsewhere_alone_and_together(trained, tmp_path, monkeypatch):
    """The model as MLflow keeps it, on a machine without the state folder: raw users, whose texts it has to read."""
    from schemas.artifacts import RunContext
    from tasks.disk.artifacts import code_version
    from tasks.ingestion.land import land
    from tasks.serving import online
    from tasks.stores import pointer
    from tasks.stores.buckets import read_table
    from tasks.stores.tables import published

    home, given, _ = trained
    live = pointer.read(str(home), "small").live
    run = RunContext(run_id="x", as_of=live.as_of, now=live.as_of, seed=1, code_version=code_version(), home=str(home))
    landed = land(given.source, given.ingest, None, run, given.execution, given.validation)
    users = raw_users({name: read_table(ref) for name, ref in landed.tables.items() if name != "edges"})
    told = published(str(home), "small", "assignments").sort("user_id")
    model = next((home / "mlflow" / "artifacts").glob("*/*/artifacts/model"))
    elsewhere = shutil.copytree(model / "artifacts", tmp_path / "elsewhere")
    monkeypatch.setenv("FENQUN_HOME", str(tmp_path / "empty"))
    loaded = online.load(elsewhere, live.sha256, live.model_version)
    moment = live.as_of.isoformat()
    together = online.answer(loaded, users, moment).sort("user_id")
    alone = pl.concat([online.answer(loaded, [user], moment) for user in users[::10]]).sort("user_id")
    for found in (together, alone):
        expected = told.filter(pl.col("user_id").is_in(found["user_id"].implode()))
        for column in ("segment_id", "second_segment_id", "status"):
            assert found[column].to_list() == expected[column].to_list(), column
        assert (found["distance"].cast(pl.Float64) - expected["distance"]).abs().max() <= 1e-6


def test_a_second_run_tunes_nothing_and_registers_nothing(trained, monkeypatch):
    from flows.retrain import retrain
    from tasks.encoders import transformer

    home, given, first = trained
    monkeypatch.setenv("FENQUN_HOME", str(home))
    monkeypatch.setattr(transformer, "tune", lambda *_: pytest.fail("tuned again"))
    again = retrain(given)
    assert again.model_version == first.model_version
    assert not again.new_version
    assert again.texts == (sum(first.texts), 0)


def test_a_model_that_learns_nothing_is_not_used_and_the_run_says_so(home, tmp_path):
    from flows.retrain import retrain
    from tasks.segments import bundle
    from tasks.stores import pointer

    given = config(tiny_bert(tmp_path / "bert"), learning_rate=1e-9, steps=2)  # which knows none of the words
    summary = retrain(given)
    told = run_of(home, summary.run_id)
    assert told.metrics["texts.tuned.used"] == 0
    assert "not used" in told.tags["fenqun.tuned"]
    live = pointer.read(str(home), "small").live
    assert bundle.load(home / live.bundle / "bundle").tuned is None
