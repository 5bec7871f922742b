"""Tries a registered model: whether it makes of raw users what it was fitted on, and whether it looks ahead."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from schemas.artifacts import ArtifactRef
from schemas.runs import Registered
from schemas.tables import EDGES, EVENTS, SEGMENT_ID, SEQUENCE, TEXTS, TIMESTAMP, USER_ID, Bucket
from tasks.models.assemble import segmenter
from tasks.models.keep import BUNDLE
from tasks.models.scored import cached_lookup
from tasks.segments import bundle as bundles
from tasks.segments.segmenter import Segmenter
from tasks.stores.book import Day
from tasks.stores.buckets import count, read_bucket, read_table
from tasks.stores.sample import first_users
from tasks.vectors.features import matrix

if TYPE_CHECKING:
    import polars as pl

USERS = 2_000
"""About as many users are tried, as many of each bucket."""
ROUNDING = 1e-6


def shifted(day: Day, model: Registered, fitted_on: ArtifactRef) -> int:
    """Users of whose rows the registered bundle makes another vector than the one that the segments were fitted on."""
    ready = _loaded(day, model)
    users, X = matrix(fitted_on)
    at = dict(zip(users.to_list(), range(len(users)), strict=True))
    found = 0
    for bucket in _samples(day):
        ids, vectors = ready.vectors(bucket, day.as_of)
        rows = np.array([at.get(user, -1) for user in ids], np.int64)
        known = rows >= 0
        same = np.abs(vectors[known] - X[rows[known]]).max(axis=1, initial=0.0) <= ROUNDING
        found += int((~known).sum() + (~same).sum())
    return found


def leaked(day: Day, model: Registered) -> int:
    """Users whose assignment is another one when rows later than as_of are put into every table."""
    ready = _loaded(day, model)
    stored = read_table(model.assignments).select(USER_ID, SEGMENT_ID)
    found = 0
    for bucket in _samples(day):
        again = ready.assign(with_future(bucket, day.as_of), day.as_of, "").select(USER_ID, SEGMENT_ID)
        both = again.join(stored, on=USER_ID, suffix="_stored")  # who has no row at all is counted by validity.rows
        found += int(both[SEGMENT_ID].ne_missing(both[f"{SEGMENT_ID}_stored"]).sum())
    return found


def with_future(bucket: Bucket, as_of: datetime) -> "dict[str, pl.DataFrame]":
    """The bucket with everybody's rows once more, as if all of it, and by others, had happened after as_of."""
    import polars as pl

    out = dict(bucket)
    for name in (EVENTS.name, TEXTS.name, EDGES.name):
        if name not in bucket or bucket[name].is_empty():
            continue
        frame = bucket[name]
        owner = frame.columns[0]
        later = pl.lit(as_of).cast(frame.schema[TIMESTAMP]) + pl.duration(minutes=pl.int_range(1, pl.len() + 1))
        strange = frame.with_columns(frame[owner].reverse().alias(owner), later.alias(TIMESTAMP))
        order = [column for column in (owner, TIMESTAMP, SEQUENCE) if column in frame.columns]
        out[name] = pl.concat([frame, strange]).sort(order, maintain_order=True)
    return out


def _loaded(day: Day, model: Registered) -> Segmenter:
    """The model from the files that were registered."""
    bundle = bundles.load(Path(model.bundle.path) / BUNDLE, model.sha256)
    return segmenter(bundle, lookup=cached_lookup(bundle, day.context.home), device=day.settings.execution.device)


def _samples(day: Day) -> Iterator[Bucket]:
    share = -(-USERS // count(day.tables))
    return (first_users(read_bucket(day.tables, number), share) for number in range(count(day.tables)))
