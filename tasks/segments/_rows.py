"""Rows of users: filling in the tables that are not there, and putting blocks side by side by user."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas import tables
from schemas.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from schemas.tables import Bucket


class Rows(NamedTuple):
    """A block's answer for one bucket: (n,) sorted distinct users and their (n, d_b) float32 values."""

    users: "pl.Series"
    values: np.ndarray


@dataclass(frozen=True)
class Block:
    """One block of features, ready to be computed.

    Attributes:
        name: Feature family, or "text".
        columns: Column names, in order; none for texts, whose dimensions mean nothing to a reader.
        width: Numbers per user.
        requires: Input tables without which the block is unknown for everybody.
        build: Computes it for one bucket.
    """

    name: str
    columns: tuple[str, ...]
    width: int
    requires: tuple[str, ...]
    build: "Callable[[Bucket, datetime], Rows]"


def complete(bucket: "Bucket") -> "dict[str, pl.DataFrame]":
    """A bucket where what nobody did is an empty table: a user without events is known to have none."""
    import polars as pl

    out = dict(bucket)
    for table in (tables.EVENTS, tables.TEXTS, tables.EDGES):
        if table.name not in out:
            out[table.name] = pl.DataFrame(schema=table.polars_schema())
    return out


def union(parts: "Sequence[pl.Series]") -> "pl.Series":
    import polars as pl

    if not parts:
        return pl.Series(tables.USER_ID, [], dtype=pl.String)
    if all(part.equals(parts[0], check_names=False) for part in parts[1:]):
        return parts[0]
    return pl.concat([part.alias(tables.USER_ID) for part in parts]).unique().sort()


def aligned(block: Block, rows: Rows | None, users: "pl.Series") -> np.ndarray:
    import polars as pl

    out = np.full((len(users), block.width), np.nan, np.float32)
    if rows is None or not len(users):
        return out
    if rows.values.shape[1] != block.width:
        raise DataError(f"features.{block.name}: {rows.values.shape[1]} columns where {block.width} were fitted")
    if rows.users.equals(users, check_names=False):
        return np.asarray(rows.values, np.float32)
    at = pl.DataFrame({"u": users, "i": np.arange(len(users))}).join(
        pl.DataFrame({"u": rows.users}), on="u", how="right", maintain_order="right"
    )
    out[at["i"].to_numpy()] = rows.values
    return out


def event_counts(bucket: "Bucket", users: "pl.Series", as_of: datetime) -> np.ndarray:
    """(n,) number of events of each user up to `as_of`."""
    import polars as pl

    events = bucket.get(tables.EVENTS.name)
    if events is None or not len(events):
        return np.zeros(len(users), np.int64)
    counts = events.filter(pl.col(tables.TIMESTAMP) <= as_of).group_by(tables.USER_ID).len("n")
    asked = pl.DataFrame({tables.USER_ID: users})
    return (
        asked.join(counts, on=tables.USER_ID, how="left", maintain_order="left")["n"]
        .fill_null(0)
        .to_numpy()
        .astype(np.int64)
    )
