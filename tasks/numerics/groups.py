"""Rows in groups: their means, and groups numbered by size."""

from hashlib import sha256

import numpy as np


def means(X: np.ndarray, labels: np.ndarray, k: int, empty: float = 0.0) -> np.ndarray:
    """(k, d) float64 mean of the rows of X (n, d) under each label 0..k-1; noise (−1) counts nowhere.

    Args:
        X: Rows.
        labels: (n,) labels.
        k: Number of labels.
        empty: What stands in the row of a label that nobody has.
    """
    import scipy.sparse as sp

    member = labels >= 0
    ones = np.ones(int(member.sum()))
    select = sp.csr_matrix((ones, (labels[member], np.flatnonzero(member))), shape=(k, len(X)))
    sizes = np.bincount(labels[member], minlength=k)[:, None]
    return np.where(sizes > 0, np.asarray(select @ np.asarray(X, dtype=np.float64)) / np.maximum(sizes, 1), empty)


def canonical(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number groups by decreasing size, ties by first row; noise stays −1.

    Returns:
        labels (n,) int32 renumbered, and order (k,): the old number of each new group.
    """
    old, first, inverse, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.lexsort((first, -sizes))
    rank = rank[old[rank] >= 0]
    number = np.full(len(old), -1, np.int32)
    number[rank] = np.arange(len(rank))
    return number[inverse], old[rank]


def partition(labels: np.ndarray) -> str:
    """Digest of who is with whom in (n,) labels, however the groups are numbered."""
    return sha256(canonical(labels)[0].tobytes()).hexdigest()
