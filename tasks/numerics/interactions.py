"""Events as a users × items matrix: how often, and when last."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from schemas.interactions import Interactions
from schemas.tables import EVENT, ITEM_ID, TIMESTAMP, USER_ID
from tasks.numerics.history import MICROSECONDS_PER_DAY, physical
from tasks.numerics.keys import locate

if TYPE_CHECKING:
    import polars as pl
    import scipy.sparse as sp

_ROW, _COLUMN, _DAY, _COUNT = "row", "column", "day", "count"
_HALVES = 1000.0  # as old as this a count is still above zero


def chosen(events: "pl.DataFrame", choices: Sequence[str]) -> "pl.DataFrame":
    """The events of some names; of all where none are given."""
    import polars as pl

    return events.filter(pl.col(EVENT).cast(pl.String).is_in(list(choices))) if choices else events


def cells(
    events: "pl.DataFrame", users: "Sequence[str] | pl.Series", items: "Sequence[str] | pl.Series"
) -> "pl.DataFrame":
    """Row, column, count and newest time of every cell; events of users or items not listed are left out.

    Args:
        events: Table events, or a part of it; a cell may stand in several parts.
        users: Ids of the rows, in order and distinct.
        items: Ids of the columns, in order and distinct.
    """
    import polars as pl

    rows = pl.DataFrame({USER_ID: users}, schema={USER_ID: pl.String}).with_row_index(_ROW)
    columns = pl.DataFrame({ITEM_ID: items}, schema={ITEM_ID: pl.String}).with_row_index(_COLUMN)
    days = (physical(events[TIMESTAMP]) / MICROSECONDS_PER_DAY).alias(_DAY)
    found = events.select(USER_ID, ITEM_ID, days).join(rows, on=USER_ID).join(columns, on=ITEM_ID)
    return found.group_by(_ROW, _COLUMN).agg(pl.len().alias(_COUNT), pl.col(_DAY).max())


def interactions_of(
    parts: "Sequence[pl.DataFrame]", users: int, items: int, moment: float | None = None
) -> Interactions:
    """Histories of (users, items) in float32 counts with sorted indices.

    Args:
        parts: What `cells` returned, for parts of the events.
        users: Number of rows.
        items: Number of columns.
        moment: What counts as the present, in days since 1970; None: the newest time of all.
    """
    import polars as pl
    import scipy.sparse as sp

    if not parts:
        empty = sp.csr_matrix((users, items), dtype=np.float32)
        return Interactions(empty, empty.astype(np.float64), moment or 0.0)
    merged = pl.concat(parts).group_by(_ROW, _COLUMN).agg(pl.col(_COUNT).sum(), pl.col(_DAY).max())
    found = merged.sort(_ROW, _COLUMN)
    starts = np.cumsum(np.bincount(found[_ROW].to_numpy(), minlength=users))
    place = (found[_COLUMN].to_numpy().astype(np.int32), np.concatenate([[0], starts]).astype(np.int32))
    counts, newest = (
        sp.csr_matrix((found[name].to_numpy().astype(dtype), *place), shape=(users, items))
        for name, dtype in ((_COUNT, np.float32), (_DAY, np.float64))
    )
    return Interactions(counts, newest, float(newest.data.max(initial=0.0)) if moment is None else moment)


def binary(interactions: Interactions) -> "sp.csr_matrix":
    """(users, items) CSR, 1 where there is an interaction."""
    ones = interactions.counts.copy()
    ones.data[:] = 1.0
    return ones


def interactions(events: "pl.DataFrame", users: Sequence[str], items: Sequence[str]) -> Interactions:
    """Events as histories; see `cells` and `interactions_of`."""
    return interactions_of([cells(events, users, items)], len(users), len(items))


def weighted(interactions: Interactions, weights: np.ndarray) -> "sp.csr_matrix":
    """(users, items) float64 CSR of (cells,) weights in the cells' order."""
    import scipy.sparse as sp

    counts = interactions.counts
    return sp.csr_matrix((np.asarray(weights, np.float64), counts.indices, counts.indptr), counts.shape)


def decayed(interactions: Interactions, half_life_days: float | None) -> "sp.csr_matrix":
    """(users, items) float64 CSR counts, each halved for every so many days between its newest time and the moment."""
    counts = interactions.counts.data.astype(np.float64)
    halves = 0.0 if half_life_days is None else np.minimum(interactions.ages() / half_life_days, _HALVES)
    return weighted(interactions, counts * np.exp2(-halves))


def recency(interactions: Interactions, half_life: float | None) -> np.ndarray:
    """(cells,) weights in the cells' order: 1 for a user's newest cell, halved for every so large a share of the rest.

    A user's n cells are ordered by newest time, ties by column, and the one with r newer ones weighs
    2^(−r / (half_life · n)). So it does not matter how fast a user lives.

    Args:
        interactions: Histories.
        half_life: Share of the user's own cells; None: all weigh 1.
    """
    counts = interactions.counts
    if half_life is None:
        return np.ones(counts.nnz)
    own = np.diff(counts.indptr)
    return np.exp2(-newer(interactions) / (half_life * np.repeat(own, own)))


def newer(interactions: Interactions) -> np.ndarray:
    """(cells,) int64 how many cells of the same user are newer, in the cells' order; of ties the last is newest."""
    counts = interactions.counts
    own = np.diff(counts.indptr)
    user = np.repeat(np.arange(len(own)), own)
    order = np.lexsort((interactions.newest.data, user))  # stable, so that ties stay in order of column
    found = np.empty(len(order), np.int64)
    found[order] = counts.indptr[1:][user] - 1 - np.arange(len(order))
    return found


def belongs(lists: "pl.Series", names: "pl.Series") -> "sp.csr_matrix | None":
    """(n, names) CSR, sorted, of 1 where a list of the (n,) holds a name; None where none of the names is asked for."""
    import polars as pl
    import scipy.sparse as sp

    if not len(names):
        return None
    rows = pl.DataFrame({"row": np.arange(len(lists)), "name": lists}).explode("name").drop_nulls()
    told = rows.with_columns(pl.col("name").cast(pl.String)).unique(maintain_order=True)
    at = locate(names, told["name"])
    there = at >= 0
    ones = np.ones(int(there.sum()))
    made = sp.csr_matrix((ones, (told["row"].to_numpy()[there], at[there])), shape=(len(lists), len(names)))
    made.sort_indices()
    return made
