"""The weighted user-item matrix: a bucket's part of it, and the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from schemas.errors import DataError
from schemas.tables import EVENT, EVENTS, ITEM_ID, TIMESTAMP, USER_ID, VALUE, Bucket
from tasks.numerics.history import MICROSECONDS_PER_DAY, clock, until
from tasks.numerics.keys import locate

if TYPE_CHECKING:
    import polars as pl
    from scipy import sparse


NOW = "__now"
"""What each event's user counts as the present, in microseconds since 1970."""


@dataclass(frozen=True)
class Piece:
    """One bucket's distinct user-item pairs, sorted, as positions in its own users and items (sorted, distinct).

    Attributes:
        users: Ids of the users with a pair.
        items: Ids of the items with a pair.
        rows: (pairs,) int32 positions in `users`.
        columns: (pairs,) int32 positions in `items`.
        weights: (pairs,) float64 above 0.
    """

    users: "pl.Series"
    items: "pl.Series"
    rows: np.ndarray
    columns: np.ndarray
    weights: np.ndarray


def interactions(bucket: Bucket, weight: "pl.Expr", as_of: datetime) -> Piece:
    """The distinct user-item pairs of events up to `as_of`; an entry is log(1 + sum of its events' weights)."""
    import polars as pl

    events = until(bucket[EVENTS.name], as_of)
    known = events.with_columns(pl.Series(NOW, clock(bucket, events[USER_ID], as_of)))
    frame = known.select(USER_ID, ITEM_ID, weight=weight)
    piece = pair_sums(frame[USER_ID], frame[ITEM_ID], frame["weight"].to_numpy())
    return replace(piece, weights=np.log1p(piece.weights))


def pair_sums(users: "pl.Series", items: "pl.Series", weights: np.ndarray) -> Piece:
    """Distinct pairs of two aligned columns of ids with the sums of their weights; only weights above 0 count."""
    import polars as pl

    kept = pl.Series(weights > 0)
    (users, rows), (items, columns) = _coded(users.filter(kept)), _coded(items.filter(kept))
    pair, weights = rows * len(items) + columns, weights[weights > 0]
    order = np.argsort(pair)
    pair, weights = pair[order], weights[order]
    fresh = np.ones(len(pair), bool)
    fresh[1:] = np.diff(pair) != 0
    repeated = np.flatnonzero(~fresh | ~np.append(fresh[1:], True))
    order = np.lexsort((weights[repeated], pair[repeated]))  # sums must not depend on the order in which rows arrive
    weights[repeated] = weights[repeated][order]
    sums = np.bincount(np.cumsum(fresh) - 1, weights, int(fresh.sum()))  # adds in order, one by one
    rows, columns = np.divmod(pair[fresh], max(len(items), 1))
    return Piece(users, items, rows.astype(np.int32), columns.astype(np.int32), sums)


def _coded(ids: "pl.Series") -> "tuple[pl.Series, np.ndarray]":
    """The distinct ids, sorted, and (n,) int64 the position of each id among them."""
    if ids.is_sorted():  # users are, as ingest leaves them
        run = ids.rle_id().to_numpy().astype(np.int64)
        return ids.gather(np.flatnonzero(np.diff(run, prepend=-1))), run
    distinct = ids.unique().sort()
    return distinct, locate(distinct, ids)


def event_weight(by_event: Mapping[str, float], half_life_days: float | None, use_value: bool) -> "pl.Expr":
    """Weight of an event, Float64: by its name, its age (from the column `NOW`) and, where asked for, its value."""
    import polars as pl

    weight = pl.lit(1.0)
    if by_event:
        weight = pl.col(EVENT).replace_strict(by_event, default=1.0, return_dtype=pl.Float64)
    if half_life_days is not None:
        age = pl.col(NOW) - pl.col(TIMESTAMP).cast(pl.Datetime("us", "UTC")).to_physical()
        weight = weight * (-age / (half_life_days * MICROSECONDS_PER_DAY) * np.log(2)).exp()
    if use_value:
        weight = weight * pl.col(VALUE).fill_null(1.0).clip(lower_bound=0.0)
    return weight


def assemble(pieces: Sequence[Piece], min_item_users: int) -> "tuple[sparse.csr_matrix, pl.Series]":
    """The whole user-item matrix, users in the order of the pieces' first users, and its items, sorted."""
    import polars as pl

    pieces = sorted((piece for piece in pieces if len(piece.users)), key=lambda piece: str(piece.users[0]))
    if not pieces:
        raise DataError("features.collaborative: no event by as_of has a weight above 0; check as_of and event_weights")
    items = pl.concat([piece.items for piece in pieces]).unique().sort()
    starts = np.cumsum([0, *(len(piece.users) for piece in pieces)])
    rows = np.concatenate([piece.rows + start for piece, start in zip(pieces, starts[:-1], strict=True)])
    columns = np.concatenate([locate(items, piece.items)[piece.columns] for piece in pieces])
    weights = np.concatenate([piece.weights for piece in pieces])
    matrix = sparse_matrix(weights, rows, columns, (int(starts[-1]), len(items)))
    kept = np.diff(matrix.tocsc().indptr) >= min_item_users
    if not kept.any():
        raise DataError("features.collaborative: no item has min_item_users users; lower it")
    return matrix[:, kept].tocsr(), items.filter(pl.Series(kept))


def sparse_matrix(
    weights: np.ndarray, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]
) -> "sparse.csr_matrix":
    """CSR of pairs that are sorted by row and column already."""
    from scipy import sparse

    return sparse.csr_matrix((weights, (rows, columns)), shape=shape)
