"""Who interacted with what, how often and when last; and what is known of the items."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from schemas.errors import DataError

if TYPE_CHECKING:
    import polars as pl
    import scipy.sparse as sp


@dataclass(frozen=True)
class Interactions:
    """Histories of n users, up to a moment.

    Attributes:
        counts: (n, items) CSR, sorted: how often a user interacted with an item; what is stored was seen.
        newest: (n, items) CSR of the same cells: when last, in days since 1970 UTC.
        moment: What counts as the present, in days since 1970 UTC: nothing here is later.
    """

    counts: "sp.csr_matrix"
    newest: "sp.csr_matrix"
    moment: float

    def __post_init__(self) -> None:
        """Refuses times that are not of the cells, or later than the moment."""
        if self.counts.shape != self.newest.shape:
            raise DataError(f"interactions: counts are {self.counts.shape}, times {self.newest.shape}; they must align")
        same = np.array_equal(self.counts.indptr, self.newest.indptr)
        if not same or not np.array_equal(self.counts.indices, self.newest.indices):
            raise DataError("interactions: counts and times must be stored for the same cells, in order")
        if len(self.newest.data) and self.newest.data.max() > self.moment:
            raise DataError(f"interactions: a time {self.newest.data.max()} is later than the moment {self.moment}")

    @property
    def shape(self) -> tuple[int, int]:
        """(users, items)."""
        return self.counts.shape[0], self.counts.shape[1]

    def ages(self) -> np.ndarray:
        """(cells,) days between each cell's newest time and the moment, in the cells' order."""
        return self.moment - self.newest.data

    def rows(self, users: np.ndarray) -> "Interactions":
        """The histories of some users, (m,) row numbers, in their order."""
        return Interactions(self.counts[users], self.newest[users], self.moment)


@dataclass(frozen=True)
class Items:
    """What is known of the items, one row for each column of the interactions.

    Attributes:
        ids: (items,) ids.
        vectors: (items, d) float32 vectors of their texts, rows of zeros where there is none; None: no texts.
        categories: (items, c) CSR, 1 where an item has a category; None: no categories.
    """

    ids: np.ndarray
    vectors: "np.ndarray | None" = None
    categories: "sp.csr_matrix | None" = None

    def __post_init__(self) -> None:
        """Refuses parts that do not align."""
        for name, part in (("vectors", self.vectors), ("categories", self.categories)):
            if part is not None and part.shape[0] != len(self.ids):
                raise DataError(f"items: {len(self.ids)} ids, but {part.shape[0]} rows of {name}")

    def __len__(self) -> int:
        """Number of items."""
        return len(self.ids)


@dataclass(frozen=True)
class Chosen:
    """Choices of n users among m items.

    Attributes:
        users: (n,) ids, bucket after bucket.
        items: (m,) ids of the items that may be listed, sorted: those that somebody chose, and those that a recommender
            ranks though nobody did.
        interactions: (n, m) histories.
        labels: (n,) places of their segments among the published ones, −1 without a segment.
    """

    users: "pl.Series"
    items: "pl.Series"
    interactions: Interactions
    labels: np.ndarray
