"""What some algorithms learn from beside the vectors: known labels of users, or the ties between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef
from schemas.config import Section, kind_of
from schemas.errors import DataError, UsageError
from schemas.tables import DST, EDGES, SRC, USER_ID, USERS, WEIGHT
from tasks.numerics.history import until
from tasks.stores.buckets import Refs, read_frames

if TYPE_CHECKING:
    import polars as pl
    import scipy.sparse as sp


@dataclass(frozen=True)
class Lesson:
    """Aligned with n users.

    Attributes:
        y: (n,) known labels, −1 unknown; None: the algorithm needs none.
        graph: (n, n) weights of the ties; None: the algorithm needs none.
    """

    y: np.ndarray | None = None
    graph: "sp.csr_matrix | None" = None

    def of(self, rows: np.ndarray | None = None) -> dict[str, Any]:
        """The arguments of a clusterer's `fit` for some of the users; None: all of them."""
        if rows is None:
            return {"y": self.y, "graph": self.graph}
        return {
            "y": None if self.y is None else self.y[rows],
            "graph": None if self.graph is None else self.graph[rows][:, rows],
        }


def source(config: Section, tables: Refs) -> ArtifactRef | None:
    """The table that an algorithm learns from beside the vectors; None where it does without.

    Raises:
        DataError: there is no such table, or it lacks the column.
    """
    if column := getattr(config, "column", None):
        if USERS.name not in tables or column not in tables[USERS.name].columns:
            raise DataError(f"{kind_of(config)}: the users table has no column {column!r} to learn from")
        return tables[USERS.name]
    if getattr(config, "graph", None) == EDGES.name:
        if EDGES.name not in tables:
            raise DataError(f"{kind_of(config)}: graph: edges needs a table of edges, and the source gives none")
        return tables[EDGES.name]
    return None


def lesson(config: Section, users: "pl.Series", tables: Mapping[str, ArtifactRef], as_of: datetime) -> Lesson:
    """What an algorithm learns from beside the vectors of `users`; ties after `as_of` are left out."""
    table = source(config, tables)
    if table is None:
        return Lesson()
    if table.kind == EDGES.name:
        return Lesson(graph=_graph(table, users, as_of))
    return Lesson(y=truth_labels(tables, users, getattr(config, "column", None)))


def _graph(edges: ArtifactRef, users: "pl.Series", as_of: datetime) -> "sp.csr_matrix":
    import polars as pl
    import scipy.sparse as sp

    place = pl.DataFrame({USER_ID: users}).with_row_index("place")
    ties = pl.concat([until(frame, as_of).select(SRC, DST, WEIGHT) for frame in read_frames(edges)])
    known = ties.join(place.rename({USER_ID: SRC, "place": "i"}), on=SRC).join(
        place.rename({USER_ID: DST, "place": "j"}), on=DST
    )
    shape = (len(users), len(users))
    graph = sp.csr_matrix((known[WEIGHT].to_numpy(), (known["i"].to_numpy(), known["j"].to_numpy())), shape=shape)
    graph.setdiag(0)
    graph.eliminate_zeros()
    return graph


def truth_groups(tables: Refs, users: "pl.Series", column: str) -> "pl.Series":
    """(n,) text values of a column of users, null where unknown or where there is no such column.

    Raises:
        UsageError: the column holds lists.
    """
    import polars as pl

    if USERS.name not in tables or column not in tables[USERS.name].columns:
        return pl.Series(column, [None] * len(users), dtype=pl.String)
    frames = list(read_frames(tables[USERS.name], (USER_ID, column)))
    if frames[0].schema[column].is_nested():
        raise UsageError(f"users.{column} holds lists, which make no groups: name a column with one value per user")
    known = pl.concat([frame.with_columns(pl.col(column).cast(pl.String)) for frame in frames])
    return pl.DataFrame({USER_ID: users}).join(known, on=USER_ID, how="left", maintain_order="left")[column]


def truth_labels(tables: Refs, users: "pl.Series", column: str | None) -> np.ndarray | None:
    """(n,) codes of a column of users; −1 where unknown; None where none is asked for or nobody has it."""
    import polars as pl

    values = None if column is None else truth_groups(tables, users, column)
    if values is None or values.null_count() == len(values):
        return None
    return values.rank("dense").cast(pl.Int32).fill_null(0).to_numpy() - 1
