"""Promotion, rollback and what serves them: model and tables change together, and the same answers come back."""

import shutil

import polars as pl
import pytest
from mlflow.exceptions import MlflowException

from schemas.errors import FenqunError, UsageError
from schemas.tables import QUARANTINE
from tasks.registry.promotion import mend, roll_back
from tasks.stores import pointer, tables
from tests.helpers import versions
from tests.helpers.days import quarantine
from tests.helpers.versions import make_live, rolled_back, seen

NAME, AS_OF = versions.NAME, versions.AS_OF


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
    told = rolled_back(home)
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
    (home, (_, second), *_), ids = shop, ("s004", "s005", "s006")
    make_live(shop, 0)
    assert pointer.read(str(home), NAME).next_number == 4
    born = second.model_copy(update={"born": ids})
    versions.promote(home, born)
    rolled_back(home)
    found = pointer.read(str(home), NAME)
    assert found.next_number == 7
    assert found.born == {**dict.fromkeys(("s001", "s002", "s003"), "1"), **dict.fromkeys(ids, "2")}
    twin = born.model_copy(update={"version": "3"})  # made beside the second, from the same champion
    with pytest.raises(UsageError, match="version 3 calls a segment s004, which is another segment since version 2"):
        versions.promote(home, twin)
    assert pointer.read(str(home), NAME) == found
    versions.promote(home, born)
    assert pointer.read(str(home), NAME).live.model_version == "2"


def test_of_two_promotions_from_one_revision_the_second_writes_nothing(shop):
    home, (_, second), _, ledger = shop
    make_live(shop, 0)
    before = sorted(path for path in (home / "segmentations").rglob("*"))
    with pytest.raises(pointer.PointerMoved, match="came first"):
        versions.promote(home, second, revision=0)
    assert sorted(path for path in (home / "segmentations").rglob("*")) == before
    assert aliases(ledger)["champion"] == "1"


@pytest.mark.parametrize("lost", ["get_registered_model", "set_registered_model_alias", "set_model_version_tag"])
def test_a_rollback_stands_also_where_mlflow_is_lost_and_the_aliases_follow_later(shop, monkeypatch, lost):
    from mlflow import MlflowClient

    home, (first, second), _, ledger = shop
    make_live(shop, 0)
    make_live(shop, 1)

    def away(*_: object) -> None:
        raise MlflowException("no answer\nat all")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, lost, away)
        told = rolled_back(home)
    assert (told.live, told.behind) == (first.version, "no answer")
    assert pointer.read(str(home), NAME).live.model_version == first.version
    if lost != "set_model_version_tag":
        assert aliases(ledger)["champion"] == second.version
    mend(pointer.read(str(home), NAME), ledger)
    assert aliases(ledger) == {"champion": first.version, "previous": second.version}


@pytest.mark.parametrize("lost", ["bundle", "tables", "half a bundle"])
def test_a_rollback_looks_first_whether_what_it_returns_to_is_whole(shop, lost):
    home, (first, _), *_ = shop
    make_live(shop, 0)
    make_live(shop, 1)
    place = home / pointer.read(str(home), NAME).previous.bundle
    hidden = {"tables": tables.table_path(str(home), NAME, "segments")}.get(lost, place)
    aside = hidden.rename(hidden.with_name("hidden"))
    if lost == "half a bundle":
        shutil.copytree(aside, hidden)
        (hidden / "bundle" / "arrays.safetensors").write_bytes(b"")
    try:
        with pytest.raises(FenqunError, match=f"version {first.version} is not whole any more"):
            rolled_back(home)
        assert pointer.read(str(home), NAME).live.model_version == "2"
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        aside.rename(hidden)
    assert rolled_back(home).live == first.version


@pytest.mark.parametrize(("author", "reason"), [("", "x"), ("x", " ")])
def test_a_rollback_without_author_or_reason_changes_nothing(shop, author, reason):
    home, *_, ledger = shop
    make_live(shop, 0)
    make_live(shop, 1)
    with pytest.raises(UsageError, match="--author"):
        roll_back(2, author, reason, str(home), ledger)
    assert pointer.read(str(home), NAME).revision == 2


def test_quarantined_rows_of_a_run_are_published_with_its_model(shop):
    home, (first, _), *_ = shop
    row = {"table": "events", "locator": "row 7", "column": "timestamp", "reason": "unreadable", "run_id": "run"}
    versions.promote(
        home, first, aside=quarantine(home, pl.DataFrame([row], schema=QUARANTINE.polars_schema()), "aside")
    )
    assert seen(home)["quarantine"] == [row]
