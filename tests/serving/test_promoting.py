"""Promotion, rollback and what serves them: model and tables change together, and the same answers come back."""

import json
import shutil
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import polars as pl
import pytest
from mlflow.exceptions import MlflowException

from schemas.config import ExecutionConfig, IdentityConfig
from schemas.errors import DataError, UsageError
from schemas.tables import QUARANTINE
from tasks.serving import compose, online
from tasks.serving.promoting import mirror, promote, roll_back
from tasks.serving.revisiting import revisit, warm_candidate
from tasks.stores import pointer, tables
from tasks.stores.buckets import read_table
from tests.serving import models
from tests.serving.shops import back, make_live, seen

NAME, AS_OF = models.NAME, models.AS_OF


def aliases(ledger) -> dict[str, str]:
    found = ledger.client.get_registered_model(NAME).aliases
    return {name: str(found[name]) for name in ("champion", "previous") if name in found}


def test_model_and_tables_are_promoted_together_and_come_back_as_they_were(shop):
    home, (first, second), _, ledger = shop
    make_live(shop, 0)
    before = seen(home)
    assert {row["model_version"] for row in before["assignments"]} == {first.version}
    make_live(shop, 1)
    after = seen(home)
    assert {row["model_version"] for name in ("assignments", "segments") for row in after[name]} == {second.version}
    assert len(after["transitions"]) == len(before["transitions"]) + sum(  # everyone's segment has another id
        row["segment_id"] is not None for row in after["assignments"]
    )
    assert aliases(ledger) == {"champion": second.version, "previous": first.version}
    told = back(shop)
    assert (told.live, told.previous, told.behind) == (first.version, second.version, None)
    assert seen(home) == before
    assert aliases(ledger) == {"champion": first.version, "previous": second.version}
    assert ledger.version(first.version).tags["fenqun.rolled_back_to"] == "ann: it was worse"


def test_what_is_live_already_is_not_published_again(shop):
    home, *_ = shop
    once, path = make_live(shop, 0), tables.table_path(str(shop[0]), NAME, "assignments")
    commits = len(list((path / "_delta_log").glob("*.json")))
    assert make_live(shop, 0) == once == pointer.read(str(home), NAME)
    assert len(list((path / "_delta_log").glob("*.json"))) == commits


def test_an_id_that_was_live_is_never_given_to_another_segment(shop):
    (home, (_, second), _, ledger), ids = shop, ("s004", "s005", "s006")
    make_live(shop, 0)
    assert pointer.read(str(home), NAME).next_number == 4
    born = second.model_copy(update={"born": ids})
    now = models.context(home)
    promote(born, models.profiles(born), models.quarantine(home), 1, now, ledger)
    back(shop)
    found = pointer.read(str(home), NAME)
    assert found.next_number == 7
    assert found.born == {**dict.fromkeys(("s001", "s002", "s003"), "1"), **dict.fromkeys(ids, "2")}
    twin = born.model_copy(update={"version": "3"})  # made beside the second, from the same champion
    with pytest.raises(UsageError, match="version 3 calls a segment s004, which is another segment since version 2"):
        promote(twin, models.profiles(twin), models.quarantine(home), found.revision, now, ledger)
    assert pointer.read(str(home), NAME) == found
    promote(born, models.profiles(born), models.quarantine(home), found.revision, now, ledger)
    assert pointer.read(str(home), NAME).live.model_version == "2"


def test_a_retrain_after_a_rollback_gives_numbers_that_nobody_had(shop):
    home, _, bucket, _ = shop
    make_live(shop, 0)
    make_live(shop, 1)
    back(shop)
    refs = {name: models.table(home, name, frame) for name, frame in bucket.items()}
    standing = revisit(NAME, refs, models.context(home), ExecutionConfig(device="cpu"))
    assert (standing.version, standing.next_number) == ("1", 7)


def test_a_champion_that_knows_nobody_of_today_warms_no_candidate(shop):
    home, _, bucket, _ = shop
    make_live(shop, 0)
    refs = {name: models.table(home, name, frame) for name, frame in bucket.items()}
    standing = revisit(NAME, refs, models.context(home), ExecutionConfig(device="cpu"))
    assert warm_candidate(standing, IdentityConfig(), 1).warm
    lost = read_table(standing.assignments).with_columns(pl.lit(None, pl.String).alias("segment_id"))
    nobody = standing.model_copy(update={"assignments": models.table(home, "lost", lost)})
    assert warm_candidate(nobody, IdentityConfig(), 1) is None


def test_of_two_promotions_from_one_revision_the_second_writes_nothing(shop):
    home, (_, second), _, ledger = shop
    make_live(shop, 0)
    before = sorted(path for path in (home / "segmentations").rglob("*"))
    with pytest.raises(pointer.PointerMoved, match="came first"):
        promote(second, models.profiles(second), models.quarantine(home), 0, models.context(home), ledger)
    assert sorted(path for path in (home / "segmentations").rglob("*")) == before
    assert aliases(ledger)["champion"] == "1"


def test_a_rollback_stands_also_where_mlflow_is_lost_and_the_aliases_follow_later(shop, monkeypatch):
    home, (first, second), _, ledger = shop
    make_live(shop, 0)
    make_live(shop, 1)

    def lost(*_):
        raise MlflowException("no answer\nat all")

    with monkeypatch.context() as patch:
        patch.setattr(type(ledger), "mirror", lost)
        told = back(shop)
    assert (told.live, told.behind) == (first.version, "no answer")
    assert pointer.read(str(home), NAME).live.model_version == first.version
    assert aliases(ledger)["champion"] == second.version
    mirror(pointer.read(str(home), NAME), ledger)
    assert aliases(ledger) == {"champion": first.version, "previous": second.version}


@pytest.mark.parametrize(("author", "reason"), [("", "x"), ("x", " ")])
def test_a_rollback_without_author_or_reason_changes_nothing(shop, author, reason):
    home, *_, ledger = shop
    make_live(shop, 0)
    make_live(shop, 1)
    with pytest.raises(UsageError, match="--author"):
        roll_back(2, author, reason, str(home), ledger)
    assert pointer.read(str(home), NAME).revision == 2


def raw_users(bucket, n: int = 12) -> list[dict]:
    """The first users as a recommender would send them."""
    out = []
    for user in bucket["events"]["user_id"].unique().sort()[:n]:
        rows = {
            name: bucket[name].filter(pl.col("user_id") == user).drop("user_id")
            .with_columns(pl.col("timestamp").dt.to_string("iso:strict")).to_dicts()
            for name in ("events", "texts")
        }  # fmt: skip
        out.append({"user_id": user, **rows})
    return out


def test_answers_follow_the_pointer_and_come_back_byte_for_byte(shop):
    home, (first, second), bucket, _ = shop
    users = raw_users(bucket)
    follower = online.Follower(str(home), NAME, online.load(Path(first.bundle.path), first.sha256, online.REGISTERED))

    def ask() -> str:
        return json.dumps(online.plain(online.answer(follower.current(), users, AS_OF.isoformat())), sort_keys=True)

    assert json.loads(ask())["model_version"] == [online.REGISTERED] * len(users)
    make_live(shop, 0)
    old = ask()
    make_live(shop, 1)
    new = ask()
    assert set(json.loads(new)["model_version"]) == {second.version}
    assert not set(json.loads(new)["distance"]) & set(json.loads(old)["distance"])
    back(shop)
    assert ask() == old


def test_one_user_alone_gets_what_training_gave_in_the_order_asked_for(shop):
    _, (first, _), bucket, _ = shop
    trained = {row["user_id"]: row for row in pl.read_parquet(f"{first.assignments.path}/*.parquet").to_dicts()}
    model = online.load(Path(first.bundle.path), first.sha256, first.version)
    users = raw_users(bucket, 20)[::-1]
    together = online.answer(model, users, AS_OF.isoformat()).to_dicts()
    alone = [online.answer(model, [user], AS_OF.isoformat()).to_dicts()[0] for user in users]
    assert together == alone == [trained[user["user_id"]] for user in users]


def test_a_user_of_whom_nothing_is_known_gets_an_answer(shop):
    *_, (first, _), _, _ = shop
    model = online.load(Path(first.bundle.path), first.sha256, "1")
    rows = online.answer(model, [{"user_id": "nobody"}, {"user_id": "no one"}], AS_OF.isoformat()).to_dicts()
    assert [row["user_id"] for row in rows] == ["nobody", "no one"]
    assert all(row["status"] in ("assigned", "unassigned") and row["model_version"] == "1" for row in rows), rows


def test_a_model_whose_files_changed_does_not_serve(shop, tmp_path):
    *_, (first, _), _, _ = shop
    sums = first.bundle.meta["catalogue_sha256"]
    for part, name in (("catalogue", "items.parquet"), ("bundle", "arrays.safetensors")):
        place = tmp_path / part
        shutil.copytree(first.bundle.path, place)
        data = bytearray((place / part / name).read_bytes())
        data[-9] ^= 1
        (place / part / name).write_bytes(bytes(data))
        with pytest.raises(DataError, match="changed"):
            online.load(place, first.sha256, "1", sums)
    with pytest.raises(DataError, match="not the expected"):
        online.load(Path(first.bundle.path), "0" * 64, "1", sums)


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
    frame = pl.DataFrame(raw_users(bucket)).to_pandas()
    told = served.predict(frame, {"as_of": AS_OF.isoformat()}).to_dict("records")
    trained = {row["user_id"]: row for row in pl.read_parquet(f"{first.assignments.path}/*.parquet").to_dicts()}
    for row in told:
        expected = trained[row["user_id"]]
        assert {k: row[k] for k in ("segment_id", "confidence", "distance", "second_segment_id", "status")} == {
            k: expected[k] for k in ("segment_id", "confidence", "distance", "second_segment_id", "status")
        }


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"events": [{"item_id": "i1", "event": "view", "timestamp": "soon"}]}, "timestamp has to be ISO text"),
        ({"events": [{"item": "i1", "event": "view", "timestamp": 0}]}, "no column item"),
        ({"events": [{"event": "view", "timestamp": 0}]}, "item_id is missing"),
        ({"events": "[{"}, "not JSON"),
        ({"events": {"item_id": "i1"}}, "list of rows"),
        ({"attributes": {"shoe size": 3}}, "not known to the model"),
        ({"attributes": [1]}, "has to be an object"),
        ({"events": 5.5}, "list of rows"),
        ({"events": [{"user_id": "y", "item_id": "i1", "event": "view", "timestamp": 0}]}, "name another user_id"),
        ({"attributes": {"user_id": "y"}}, "name another user_id"),
        ({"events": [{"item_id": "i1", "event": "view", "timestamp": True}]}, "timestamp has to be ISO text"),
        ({"events": [{"item_id": "i1", "event": "view", "timestamp": 0, "value": np.inf}]}, "value is infinite"),
        ({"texts": [{"text": "half a letter \ud800", "timestamp": 0, "kind": "post"}]}, "texts cannot be read"),
    ],
)
def test_a_request_that_cannot_be_read_is_told_in_one_line(served, user, words):
    import pandas as pd

    with pytest.raises(MlflowException, match=words) as caught:
        served.predict(pd.DataFrame([{"user_id": "x", **user}]))
    assert caught.value.get_http_status_code() == 400
    assert "\n" not in str(caught.value)


def test_quarantined_rows_of_a_run_are_published_with_its_model(shop):
    home, (first, _), _, ledger = shop
    row = {"table": "events", "locator": "row 7", "column": "timestamp", "reason": "unreadable", "run_id": "run"}
    aside = models.table(home, "aside", pl.DataFrame([row], schema=QUARANTINE.polars_schema()))
    promote(first, models.profiles(first), aside, 0, models.context(home), ledger)
    assert seen(home)["quarantine"] == [row]


def test_the_bundle_that_training_used_is_the_one_that_serves(shop):
    _, (first, _), bucket, _ = shop
    bundle, _ = models.fitted()
    fresh = compose.segmenter(bundle, device="cpu").assign(bucket, AS_OF, first.version)
    loaded = online.load(Path(first.bundle.path), first.sha256, first.version)
    assert loaded.segmenter.assign(bucket, AS_OF, first.version).equals(fresh)
