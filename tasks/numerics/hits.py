"""Hits of recommendations, by whatever way they were made, and what share they are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True)
class Outcome:
    """How one way of recommending did: (n,) hits of each user, and the distinct items it recommended."""

    hits: np.ndarray
    recommended: int


def clean(matrix: "sp.csr_matrix") -> "sp.csr_matrix":
    """CSR with one stored, non-zero value per cell; the argument is left as it is."""
    matrix = matrix.tocsr().astype(np.float64)  # astype copies
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def marked(chosen: np.ndarray, test: "sp.csr_matrix") -> np.ndarray:
    """(n, top) bool: which of the recommended items a user took.

    Args:
        chosen: (n, top) item numbers, −1 where nothing was left to recommend.
        test: (n, items) as `clean` leaves it, so that its cells are in order and each recommended one is found by
            bisection.
    """
    users, items = test.shape
    cells = np.arange(users)[:, None] * items + chosen
    owned = np.append(np.repeat(np.arange(users), np.diff(test.indptr)) * items + test.indices, -1)  # −1: past the end
    return (owned[np.searchsorted(owned[:-1], cells)] == cells) & (chosen >= 0)


def judged(chosen: np.ndarray, test: "sp.csr_matrix") -> Outcome:
    """Count the hits of any recommendation; see `marked`."""
    hits = marked(chosen, test).sum(axis=1)
    return Outcome(hits.astype(np.float64), int(np.count_nonzero(np.bincount(chosen[chosen >= 0], minlength=1))))


def rates(hits: np.ndarray, own: np.ndarray, top_n: int, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Precision over all users, recall over users with test items."""
    weights = np.ones(len(hits)) if weights is None else weights
    tested = weights * (own > 0)
    precision = (weights @ hits) / (weights.sum() * top_n) if weights.sum() else np.nan
    recall = (tested @ (hits / np.maximum(own, 1))) / tested.sum() if tested.sum() else np.nan
    return float(precision), float(recall)
