"""The held-out protocol's slices of time, and events as a users × items matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from schemas.errors import DataError
from schemas.tables import ITEM_ID, SEQUENCE, TIMESTAMP, USER_ID

if TYPE_CHECKING:
    import polars as pl
    import scipy.sparse as sp


def slice_events(events: "pl.DataFrame", low: float, high: float) -> "pl.DataFrame":
    """The events between two shares of each user's own history.

    A user's n events are ordered by timestamp, ties by sequence (and then by row), and ranked 0..n-1; an event is kept
    where low·n <= rank < high·n. So (0, 0.8) trains, (0.8, 1) tests, and (0.7, 0.8) validates a model of (0, 0.7).

    Args:
        events: Table events, or texts (which have no sequence); all rows of a user must be in it.
        low: Share of the history at which the slice begins, in [0, 1).
        high: Share at which it ends, in (low, 1].

    Returns:
        The kept rows, ordered by user, and each user's by time: as ingest leaves them, so that then nothing is sorted.

    Raises:
        DataError: The shares are not 0 <= low < high <= 1.
    """
    import polars as pl

    if not 0 <= low < high <= 1:
        raise DataError(f"slice of events: expected 0 <= low < high <= 1, got {low} and {high}")
    order = [USER_ID, *(column for column in (TIMESTAMP, SEQUENCE) if column in events.columns)]
    ordered = events if _in_order(events, order) else events.sort(order, maintain_order=True)
    user = ordered[USER_ID].rle_id().to_numpy()
    n = np.bincount(user)
    rank = np.arange(len(user)) - (np.cumsum(n) - n)[user]
    return ordered.filter(pl.Series((rank >= low * n[user]) & (rank < high * n[user]), dtype=pl.Boolean))


def _in_order(frame: "pl.DataFrame", order: list[str]) -> bool:
    """Whether the rows stand in the order of the columns, the first of which weighs most."""
    tied, sorted_so_far = np.ones(max(len(frame) - 1, 0), bool), True
    for column in order:
        after, before = frame[column][1:], frame[column][:-1]
        sorted_so_far = sorted_so_far and not (tied & (after < before).to_numpy()).any()
        tied &= (after == before).to_numpy()
    return sorted_so_far


def cells(events: "pl.DataFrame", users: "Sequence[str] | pl.Series", items: "Sequence[str] | pl.Series") -> np.ndarray:
    """(2, cells) int32: the row and the column of every event; those of users or items not listed are left out.

    Args:
        events: Table events, or a part of it.
        users: Ids of the rows, in order and distinct.
        items: Ids of the columns, in order and distinct.
    """
    import polars as pl

    rows = pl.DataFrame({USER_ID: users}, schema={USER_ID: pl.String}).with_row_index("row")
    columns = pl.DataFrame({ITEM_ID: items}, schema={ITEM_ID: pl.String}).with_row_index("column")
    found = events.select(USER_ID, ITEM_ID).join(rows, on=USER_ID).join(columns, on=ITEM_ID)
    return found.select("row", "column").to_numpy().T.astype(np.int32)


def matrix_of(parts: Sequence[np.ndarray], users: int, items: int, binary: bool = False) -> "sp.csr_matrix":
    """(users, items) CSR float32 with sorted indices: how many events each cell holds, or 1 where there is one.

    Args:
        parts: What `cells` returned, for parts of the events.
        users: Number of rows.
        items: Number of columns.
        binary: 1 where there is an event, rather than how many.
    """
    import scipy.sparse as sp

    rows, columns = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), np.int32)
    matrix = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(users, items))
    matrix.sum_duplicates()
    if binary:
        matrix.data[:] = 1.0
    return matrix


def interactions(
    events: "pl.DataFrame", users: Sequence[str], items: Sequence[str], binary: bool = False
) -> "sp.csr_matrix":
    """Events as a (users, items) matrix; see `cells` and `matrix_of`."""
    return matrix_of([cells(events, users, items)], len(users), len(items), binary)
