"""What was known of each user when all were scored last: a sum of the user's rows, by which changes are found.

A timestamp does not tell what is new: events arrive late, are mended and are taken back.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from schemas.artifacts import ArtifactRef
from schemas.tables import BUCKETED, EVENTS, ITEM_ID, ITEMS, TIMESTAMP, USER_ID, Bucket
from tasks.disk.artifacts import at, fingerprint
from tasks.numerics.history import until
from tasks.numerics.keys import row_hashes
from tasks.stores import pointer
from tasks.stores.book import Day
from tasks.stores.buckets import contents, map_buckets

if TYPE_CHECKING:
    import polars as pl

SEEN = "seen"
"""The artifact's kind, and its name among those that a champion was published from."""
SUM = "sum"
_ITEM = "item"


def seen(day: Day) -> ArtifactRef | None:
    """The sums of today's users; None where there are no tables."""
    if not day.tables:
        return None
    run = day.context
    keys = [fingerprint(SEEN, one, run.code_version) for one in contents(day.tables, run.as_of)]

    def one(bucket: Bucket) -> "pl.DataFrame":
        return sums(bucket, run.as_of)

    return map_buckets(day.tables, one, day.settings.execution, home=run.home, kind=SEEN, digest=keys)


def seen_before(home: str, live: pointer.Live) -> ArtifactRef | None:
    """The sums of users as they were scored last; None where they are not kept, or were not by an earlier version."""
    return at(home, live.made[SEEN]) if SEEN in live.made else None


def sums(bucket: Bucket, as_of: datetime) -> "pl.DataFrame":
    """One row for each user of a bucket: a hash of all the user's rows up to a moment, in their order.

    What is said of an item belongs to the rows of those who touched it.
    """
    import polars as pl

    rows = []
    for number, (name, owner) in enumerate(BUCKETED.items()):
        if name in bucket:
            frame = _with_items(bucket, as_of) if name == EVENTS.name else _known(bucket[name], as_of)
            rows.append(
                pl.DataFrame([frame[owner].cast(pl.String).alias(USER_ID), row_hashes(frame, seed=number).alias(SUM)])
            )
    each = pl.concat(rows).group_by(USER_ID, maintain_order=True).agg(SUM)
    return each.with_columns(pl.col(SUM).hash()).sort(USER_ID)


def _known(frame: "pl.DataFrame", as_of: datetime) -> "pl.DataFrame":
    return until(frame, as_of) if TIMESTAMP in frame.columns else frame


def _with_items(bucket: Bucket, as_of: datetime) -> "pl.DataFrame":
    """Events, each with a hash of what is said of its item."""
    import polars as pl

    events = _known(bucket[EVENTS.name], as_of)
    if ITEMS.name not in bucket:
        return events
    items = bucket[ITEMS.name]
    told = pl.DataFrame([items[ITEM_ID], row_hashes(items).alias(_ITEM)])
    return events.join(told, on=ITEM_ID, how="left", maintain_order="left")
