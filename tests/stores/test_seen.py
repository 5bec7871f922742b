"""Whose rows are other ones than before is found by what they say, and by nothing else."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from schemas.tables import EVENTS, ITEMS, USERS
from tasks.stores.seen import sums
from tests.helpers.good_tables import AS_OF, good


@pytest.fixture
def bucket() -> dict[str, pl.DataFrame]:
    return {name: frame for name, frame in good().items() if name in ("events", "users", "items", "texts", "edges")}


def touched(before: dict[str, pl.DataFrame], after: dict[str, pl.DataFrame]) -> set[str]:
    """Users with another sum, and those who are new."""
    return set(sums(after, AS_OF).join(sums(before, AS_OF), on=["user_id", "sum"], how="anti")["user_id"])


def event(user: str, when: datetime, item: str = "i0") -> pl.DataFrame:
    row = {"user_id": user, "item_id": item, "event": "buy", "timestamp": when, "value": 1.0, "sequence": 99}
    return pl.DataFrame([row], schema=EVENTS.polars_schema())


def test_row_numbers_and_the_future_and_how_a_column_is_kept_say_nothing(bucket):
    events = bucket["events"].with_columns(pl.col("sequence") + 7, pl.col("event").cast(pl.Categorical))
    later = event("u3", AS_OF + timedelta(seconds=1))
    events = pl.concat([events.with_columns(pl.col("event").cast(pl.String)), later.select(events.columns)])
    assert touched(bucket, {**bucket, EVENTS.name: events}) == set()
    assert touched(bucket, {**bucket, EVENTS.name: events.with_columns(pl.col("event").cast(pl.Categorical))}) == set()


def test_a_late_row_a_lost_row_and_another_value_are_of_their_users(bucket):
    events = bucket["events"]
    late = pl.concat([event("u3", datetime(2001, 1, 1, tzinfo=UTC)), events])
    assert touched(bucket, {**bucket, EVENTS.name: late}) == {"u3"}
    assert touched(bucket, {**bucket, EVENTS.name: pl.concat([late, event("new", AS_OF)])}) == {"u3", "new"}
    assert touched(bucket, {**bucket, EVENTS.name: events[1:]}) == {events["user_id"][0]}
    older = bucket["users"].with_columns(pl.when(pl.col("user_id") == "u5").then(1.0).otherwise("age").alias("age"))
    assert touched(bucket, {**bucket, USERS.name: older}) == {"u5"}


def test_what_is_said_of_an_item_is_of_those_who_touched_it(bucket):
    title = pl.when(pl.col("item_id") == "i2").then(pl.lit("another")).otherwise("title").alias("title")
    items = pl.concat([bucket["items"].with_columns(title), bucket["items"][:1].with_columns(item_id=pl.lit("unseen"))])
    buyers = set(bucket["events"].filter(pl.col("item_id") == "i2")["user_id"])
    assert touched(bucket, {**bucket, ITEMS.name: items}) == buyers
