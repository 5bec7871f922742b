"""What recommendations show of a catalogue: how much of it, how evenly, how far from what everybody knows.

Lists are (m, n) item columns, −1 where nothing was left to recommend.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import scipy.sparse as sp

HEAD = 0.8  # share of the interactions that the head of the catalogue makes up


def coverage(chosen: np.ndarray, items: int) -> float:
    """Distinct recommended items / distinct items in the data (Ge, Delgado-Battenfeld and Jannach 2010)."""
    return len(np.unique(chosen[chosen >= 0])) / items if items else float("nan")


def gini(chosen: np.ndarray, items: int) -> float:
    """Gini coefficient of how often each item is recommended; NaN where nothing is.

    0: every item equally often; towards 1: one item takes all. With x_1 <= … <= x_N the times each of the N items of
    the data is recommended, those never shown among them (Fleder and Hosanagar 2009):

        G = Σ (2i − N − 1) x_i / (N Σ x_i)
    """
    shown = np.sort(np.bincount(chosen[chosen >= 0], minlength=items)).astype(np.float64)
    if not shown.sum():
        return float("nan")
    return float((2 * np.arange(1, items + 1) - items - 1) @ shown / (items * shown.sum()))


def novelty(chosen: np.ndarray, train: "sp.csr_matrix") -> np.ndarray:
    """(m,) mean self-information of each list in bits, −log2(users of the item / users); NaN for an empty list.

    An item that nobody touched counts as one user's (Zhou et al. 2010; Vargas and Castells 2011).

    Args:
        chosen: Lists.
        train: (users, items) CSR of what was known; what is stored was seen.
    """
    users = np.maximum(np.bincount(train.indices, minlength=train.shape[1]), 1)
    return _mean_of(np.log2(max(train.shape[0], 1) / users), chosen)


def in_head(train: "sp.csr_matrix", share: float = HEAD) -> np.ndarray:
    """(items,) bool: the fewest most popular items that together make up `share` of the interactions.

    Equally popular ones go by column. What is not in the head is the long tail (Celma and Herrera 2008).

    Args:
        train: (users, items) CSR of counts.
        share: Of all interactions, in [0, 1].
    """
    counts = np.asarray(train.sum(axis=0), np.float64).ravel()
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]  # by the items ahead of each
    head = np.zeros(len(counts), bool)
    head[order] = before < share * counts.sum()
    return head


def longtail(chosen: np.ndarray, train: "sp.csr_matrix") -> np.ndarray:
    """(m,) share of each list outside the head that makes up 80 % of the interactions; NaN for an empty list."""
    return _mean_of((~in_head(train)).astype(np.float64), chosen)


def diversity(chosen: np.ndarray, vectors: "np.ndarray | sp.csr_matrix | None") -> np.ndarray:
    """(m,) mean of 1 − cosine over all pairs of a list (Ziegler et al. 2005; Smyth and McClave 2001).

    With L unit vectors u of a list, Σ over pairs i ≠ j of u_i·u_j is |Σ u|² − L, so no pair is looked at. Items whose
    vector is zero have no direction and are left out; fewer than two others, or no vectors at all: NaN.

    Args:
        chosen: Lists.
        vectors: (items, d) of texts, or CSR of categories.
    """
    import scipy.sparse as sp

    if vectors is None:
        return np.full(len(chosen), np.nan)
    shown, place = np.unique(chosen[chosen >= 0], return_inverse=True)
    unit = unit_rows(vectors[shown])
    starts = np.append(0, np.cumsum((chosen >= 0).sum(axis=1)))
    member = sp.csr_matrix((np.ones(len(place)), place, starts), shape=(len(chosen), len(shown)))
    squared = _squares(member @ unit)
    known = member @ (_squares(unit) > 0)
    pairs = np.where(known > 1, known * (known - 1), np.nan)
    return 1 - (squared - known) / pairs


def unit_rows(vectors: "np.ndarray | sp.csr_matrix") -> "np.ndarray | sp.csr_matrix":
    """Rows of length 1 in float64, dense or CSR as they came; rows of zeros stay."""
    import scipy.sparse as sp

    rows = vectors.astype(np.float64)
    lengths = np.sqrt(_squares(rows))
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sp.csr_matrix(sp.diags_array(scale) @ rows) if sp.issparse(rows) else rows * scale[:, None]


def _squares(rows: "np.ndarray | sp.csr_matrix") -> np.ndarray:
    """(m,) squared lengths of the rows."""
    if isinstance(rows, np.ndarray):
        return np.asarray(np.einsum("ij,ij->i", rows, rows))
    return np.asarray(rows.multiply(rows).sum(axis=1)).ravel()


def _mean_of(figures: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(m,) mean over each list of (items,) figures."""
    there = chosen >= 0
    sums, sizes = np.where(there, figures[chosen], 0.0).sum(axis=1), there.sum(axis=1)
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)
