"""A user's history is told in the order in which readers were told of it, whatever moments the runs looked at."""

from datetime import timedelta

import polars as pl
import pytest

from tests.helpers.shops import NAME, START, Shop, buys, failed, tasteful

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

THEN, NOW = START + timedelta(days=30), START + timedelta(days=60)


def steps(shop: Shop, user: str) -> list[tuple]:
    from tasks.registry import readers

    return [(moment, before, after) for moment, before, after, _ in readers.user(shop.home, NAME, user).history]


def test_an_assignment_for_an_earlier_moment_comes_later_in_the_history(tmp_path):
    """Also across time zones: 08:00 in Shanghai is midnight in UTC."""
    shop = Shop(tmp_path, 1)
    for u in range(100):
        shop.add("events", buys(shop.rng, f"u{u}", tasteful(shop.rng, u % 5, "A"), days=30))
    shop.add("events", buys(shop.rng, "u0", tasteful(shop.rng, 3, "A", n=100), THEN, days=30))
    told = shop.retrain(as_of=THEN)
    assert told.promoted, failed(told)
    first = shop.told()["u0"]
    assert shop.assign(as_of=NOW).moved == 1
    second = shop.told()["u0"]
    assert second != first
    assert shop.assign(as_of=f"{THEN:%Y-%m-%d}T08:00:00+08:00").moved == 1
    assert shop.published()["as_of"].unique().to_list() == [THEN]
    expected = [(THEN, None, first), (NOW, first, second), (THEN, second, first)]
    assert steps(shop, "u0") == expected
    assert steps(shop, "u1") == [(THEN, None, shop.told()["u1"])]
    as_of_an_earlier_version(shop)
    assert steps(shop, "u0")[:1] == expected[:1]
    assert set(steps(shop, "u0")) == set(expected), "what is told of a moment is not lost"
    assert shop.assign(as_of=NOW).moved == 1
    assert steps(shop, "u0")[-1] == (NOW, first, second)


def as_of_an_earlier_version(shop: Shop) -> None:
    """The transitions as they were published before they told their order."""
    from tasks.stores import pointer, tables

    now = pointer.read(shop.home, NAME)
    place = (shop.home, NAME, "transitions")
    from deltalake import write_deltalake

    frame = tables.published(*place).drop("revision")
    write_deltalake(str(tables.table_path(*place)), frame.to_arrow(), mode="overwrite", schema_mode="overwrite")
    named = {**now.live.tables, "transitions": tables.newest(*place)}
    live = now.live.model_copy(update={"tables": named, "sums": tables.sums(shop.home, NAME, named)})
    pointer.write(shop.home, NAME, now.model_copy(update={"live": live}))
    assert "revision" in tables.published(*place).columns
    assert tables.published(*place).select(pl.col("revision").is_null().all()).item()
