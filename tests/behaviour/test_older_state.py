"""A state folder that version 0.1.0 made, moved here: it reads, assigns, serves, and goes back and forth, as it did.

`tests/data/state_0_1.tar.xz` is never written again. With it came the configs of its two retrains, and what its own
`segments export` told of version 2, which was live, and of version 1 after a rollback.
"""

import shutil
import tarfile
from pathlib import Path

import mlflow.pyfunc
import polars as pl
import pytest

from schemas.config import LedgerConfig
from tasks.disk.files import sum_of
from tasks.models.fetch import fetch
from tasks.models.keep import BUNDLE
from tasks.registry.readers import snapshot
from tasks.segments import bundle as bundles
from tasks.stores import pointer
from tasks.stores.ledger import Ledger
from tasks.stores.shell import CODE, WRITTEN
from tests.helpers.requests import raw_users
from tests.helpers.versions import context

STATE = Path(__file__).parent.parent / "data" / "state_0_1.tar.xz"
NAME = "kept"
AS_OF = "2025-12-31T19:14:20.457594+00:00"
ANSWER = ("user_id", "segment_id", "confidence", "distance", "second_segment_id", "status")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    place = tmp_path_factory.mktemp("elsewhere")
    with tarfile.open(STATE) as archive:
        archive.extractall(place, filter="data")
    return place


@pytest.fixture
def old(unpacked, tmp_path, monkeypatch):
    """A copy of it that a test may change."""
    place = tmp_path / "home"
    shutil.copytree(unpacked, place)
    monkeypatch.setenv("FENQUN_HOME", str(place))
    return place


def ingested(home: Path) -> list[dict[str, pl.DataFrame]]:
    """The input tables of both retrains."""
    names = ("users", "events", "texts")
    return [
        {name: pl.read_parquet(place / name / "*.parquet") for name in names}
        for place in (home / "artifacts" / "ingest").iterdir()
    ]


def answers(frame: pl.DataFrame) -> list[dict]:
    return frame.select(ANSWER).sort("user_id").to_dicts()


def then(home: Path, version: int) -> list[dict]:
    """What the version that made it told."""
    return answers(pl.read_csv(home / f"version-{version}.csv", schema_overrides={"user_id": pl.String}))


def now(home: Path) -> list[dict]:
    return answers(snapshot(str(home), NAME).table("assignments"))


def test_what_is_live_reads_as_it_did(old):
    assert now(old) == then(old, 2)
    soft = snapshot(str(old), NAME).table("assignments")["memberships"]
    assert soft.null_count() == len(soft) > 0, "it knew of none"


def test_registered_versions_can_be_brought_back(old):
    books = Ledger(LedgerConfig(), str(old), NAME)
    for version in ("1", "2"):
        kept, sha256 = fetch(version, context(old), books)
        assert bundles.load(Path(kept.path) / BUNDLE, sha256).manifest.segmentation == NAME


def test_code_that_models_are_registered_with_is_known_to_later_versions():
    assert sum_of(CODE) in WRITTEN, "add the sum of serving/pyfunc.py: models of today would be lost to tomorrow"


def test_mlflow_serves_an_old_model_as_it_did(old):
    """Its code is of then, and asks today's `serving.online`; the users are those of its first retrain."""
    told = {row["user_id"]: row for row in then(old, 1)}
    rows = next(rows for rows in ingested(old) if set(rows["users"]["user_id"]) == set(told))
    with Ledger(LedgerConfig(), str(old), NAME).model_folder("1") as folder:
        model = mlflow.pyfunc.load_model(str(folder))
        answer = model.predict(pl.DataFrame(raw_users(rows, 20)).to_pandas(), {"as_of": AS_OF})
    for row in answer.to_dict("records"):
        assert row["segment_id"] == told[row["user_id"]]["segment_id"]
        assert row["distance"] == pytest.approx(told[row["user_id"]]["distance"], abs=1e-12)


@pytest.mark.slow
def test_back_and_forth_and_assigned_anew(old, prefect_harness):
    from flows.assign import assign
    from flows.config import load
    from flows.promote import promote
    from flows.rollback import rollback

    rollback(NAME, "ann", "to see")
    assert now(old) == then(old, 1)
    assign(load(str(old / "one.yaml")))
    assert now(old) == then(old, 1)  # by the registered bundle, from raw rows
    told = promote(NAME, "2", "ann", "to see")
    assert (told.changed, told.live) == (True, "2")
    assert pointer.read(str(old), NAME).live.model_version == "2"
    assert now(old) == then(old, 2)
