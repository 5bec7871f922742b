"""Scoring only those of whom something else is known publishes what scoring everybody would, whatever came late."""

import shutil
from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.helpers.shops import START, Shop, buys, failed, tasteful

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

END = START + timedelta(days=60)
SETTINGS = {
    "as_of": END,
    "features": [{"kind": "collaborative", "dimensions": 8}, {"kind": "attributes", "numeric": ["age"]}],
}
"""One moment for all runs: nothing changes with the clock alone."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory, prefect_harness) -> Shop:
    """100 users of five tastes with an attribute, of items with a price, and a model that is live."""
    shop = Shop(tmp_path_factory.mktemp("shop"), 1, **SETTINGS)
    for u in range(100):
        shop.add("users", [{"user_id": f"u{u}", "age": 20 + 10 * (u % 5) + float(shop.rng.random())}])
        shop.add("events", buys(shop.rng, f"u{u}", tasteful(shop.rng, u % 5, "A")))
    told = shop.retrain()
    assert told.promoted, failed(told)
    return shop


def copied(shop: Shop, place) -> Shop:
    shutil.copytree(shop.place, place)
    own = Shop(place, 1, **SETTINGS)
    own.tables = dict(shop.tables)
    return own


def late(shop: Shop) -> None:
    """Events of weeks ago that arrive now, and turn a user to another taste."""
    shop.add("events", buys(shop.rng, "u0", tasteful(shop.rng, 3, "A", n=80), days=20))


def taken_back(shop: Shop) -> None:
    """All but two events of a user go."""
    frame = shop.tables["events"]
    mine = frame.filter(pl.col("user_id") == "u1")
    shop.tables["events"] = pl.concat([frame.filter(pl.col("user_id") != "u1"), mine[:2]])


def mended(shop: Shop) -> None:
    """As many events as before, at the same times, but of other items."""
    other = pl.when(pl.col("user_id") == "u2").then(pl.lit("A4-1")).otherwise(pl.col("item_id"))
    shop.tables["events"] = shop.tables["events"].with_columns(other.alias("item_id"))


def older(shop: Shop) -> None:
    """An attribute of a user changes."""
    age = pl.when(pl.col("user_id") == "u3").then(pl.lit(60.5)).otherwise(pl.col("age"))
    shop.tables["users"] = shop.tables["users"].with_columns(age.alias("age"))


def come_and_gone(shop: Shop) -> None:
    """A user is new, with old events, and another one is gone."""
    shop.add("events", buys(shop.rng, "new", tasteful(shop.rng, 2, "A"), days=20))
    for name, frame in shop.tables.items():
        shop.tables[name] = frame.filter(pl.col("user_id") != "u4")


@pytest.fixture
def scored(monkeypatch) -> list[str]:
    """Users whom the model is asked for."""
    from tasks.segments.segmenter import Segmenter

    asked: list[str] = []
    assign = Segmenter.assign

    def count(self, bucket, as_of, version):
        made = assign(self, bucket, as_of, version)
        asked.extend(made["user_id"])
        return made

    monkeypatch.setattr(Segmenter, "assign", count)
    return asked


def rows(shop: Shop, users: set[str]) -> list[tuple]:
    return shop.published().filter(pl.col("user_id").is_in(users)).rows()


CHANGES: dict[Callable[[Shop], None], set[str]] = {
    late: {"u0"}, taken_back: {"u1"}, mended: {"u2"}, older: {"u3"}, come_and_gone: {"new"},
}  # fmt: skip


def test_what_came_late_was_mended_or_is_gone_is_published_as_a_full_run_would(opened, tmp_path, scored):
    quick, full = copied(opened, tmp_path / "quick"), copied(opened, tmp_path / "full")
    for change, touched in CHANGES.items():
        change(quick)
        full.tables = dict(quick.tables)
        before = rows(quick, touched)
        scored.clear()
        told = quick.assign(only_touched=True)
        assert set(scored) == touched, change.__name__
        assert rows(quick, touched) != before, f"{change.__name__} has to change something, or it shows nothing"
        assert full.assign().moved == told.moved
        for table in ("assignments", "segments", "transitions"):
            assert_frame_equal(*(shop.published(table).sort(pl.all()) for shop in (quick, full)))


def test_state_of_a_version_that_kept_no_sums_is_scored_whole(opened, tmp_path, scored):
    from tasks.stores import pointer

    own = copied(opened, tmp_path / "own")
    now = pointer.read(own.home, "shop")
    made = {name: place for name, place in now.live.made.items() if name != "seen"}
    pointer.write(own.home, "shop", now.model_copy(update={"live": now.live.model_copy(update={"made": made})}))
    late(own)
    assert own.assign(only_touched=True).moved == 1
    assert len(scored) == 100
