"""Events as a users × items matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from schemas.tables import ITEM_ID, USER_ID

if TYPE_CHECKING:
    import polars as pl
    import scipy.sparse as sp


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
