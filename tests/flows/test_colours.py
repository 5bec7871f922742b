"""What a person sees a segment by stays through retrains: its colour, and what was written about it."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.helpers.shops import NAME, START, Shop, buys, failed, tasteful

pytestmark = pytest.mark.usefixtures("prefect_harness")


def seen(shop: Shop, column: str) -> dict[str, str]:
    return dict(shop.published("segments").select("segment_id", column).iter_rows())


def kmeans(k: int) -> dict:
    return {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [k]}}], "warm": False}


@pytest.fixture(scope="module")
def shop(tmp_path_factory, prefect_harness) -> Shop:
    own = Shop(tmp_path_factory.mktemp("shop"), 1)
    for u in range(100):
        own.add("events", buys(own.rng, f"u{u}", tasteful(own.rng, u % 5, "A")))
    told = own.retrain(search=kmeans(5))
    assert told.promoted, failed(told)
    return own


@pytest.mark.slow
def test_a_note_is_published_also_where_nothing_else_changed(shop):
    from tasks.stores import pointer

    before, version = pointer.read(shop.home, NAME), shop.live()
    assert set(seen(shop, "note").values()) == {None}
    told = shop.retrain(search=kmeans(5), describe={"notes": {"s002": "ask Ana first", "s999": "nobody"}})
    after = pointer.read(shop.home, NAME)
    assert (shop.live(), told.new_version, after.revision) == (version, False, before.revision + 1)
    assert {name: note for name, note in seen(shop, "note").items() if note} == {"s002": "ask Ana first"}
    assert "ask Ana first" in Path(told.report).read_text()
    assert (after.previous, after.live.model_version) == (before.previous, version)
    shop.retrain(search=kmeans(5), describe={"notes": {"s002": "ask Ana first"}})
    assert pointer.read(shop.home, NAME) == after


def test_a_segment_keeps_its_colour_when_others_grow_past_it_and_a_new_one_gets_a_free_one(shop):
    before = seen(shop, "colour")
    assert len(set(before.values())) == 5
    for u in range(100, 140):
        own = tasteful(shop.rng, 0, "Z", tastes=1) if u % 2 else tasteful(shop.rng, 4, "A")
        shop.add("events", buys(shop.rng, f"u{u}", own))
    shop.add("events", buys(shop.rng, "u0", ["A0-1"], START + timedelta(days=61), 1))
    told = shop.retrain(search=kmeans(6), seed=3, ledger={"log_figures": True})
    assert told.promoted, failed(told)
    after = seen(shop, "colour")
    stayed = before.keys() & after.keys()
    assert len(stayed) == 5, told.lineage.changes
    assert {name: after[name] for name in stayed} == {name: before[name] for name in stayed}
    assert len(set(after.values())) == 6
    by_size = shop.published("segments").sort("size", descending=True)["segment_id"].to_list()
    assert by_size != sorted(after), "sizes have to change places, or it shows nothing"
    page = Path(told.report).read_text()
    for profile in told.profiles:
        assert f'<article id="{profile.segment_id}" style="border-top-color:{after[profile.segment_id]}">' in page
        assert page.count(after[profile.segment_id]) > 3, "the pictures use it too"
    shop.assign()
    assert seen(shop, "colour") == after


def test_segments_of_a_version_that_kept_no_colours_get_some(shop):
    from tasks.stores import pointer, tables

    now = pointer.read(shop.home, NAME)
    frame = tables.published(shop.home, NAME, "segments").with_columns(pl.lit(None, pl.String).alias("colour"))
    named = {**now.live.tables, "segments": tables.publish(shop.home, NAME, "segments", frame)}
    live = now.live.model_copy(update={"tables": named, "sums": tables.sums(shop.home, NAME, named)})
    pointer.write(shop.home, NAME, now.model_copy(update={"live": live}))
    shop.retrain(search=kmeans(6), seed=3)
    assert len(set(seen(shop, "colour").values()) - {None}) == 6
