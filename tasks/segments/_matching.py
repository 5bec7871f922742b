"""One-to-one matching of two labelings (Kuhn 1955; Crouse 2016, as in scipy)."""

import numpy as np


def overlaps(old: np.ndarray, new: np.ndarray, n_old: int, n_new: int) -> np.ndarray:
    """(n_old, n_new) int64 number of rows with each pair of labels; rows with a label below 0 count nowhere."""
    known = (old >= 0) & (new >= 0)
    flat = old[known].astype(np.int64) * n_new + new[known]
    return np.bincount(flat, minlength=n_old * n_new).reshape(n_old, n_new)


def pairs(score: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (row, column) of the assignment with the highest total score."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(score, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]


def relabel(labels: np.ndarray, sample: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """`labels` renamed to those of `reference`, by the best one-to-one matching of `sample` with `reference`.

    Args:
        labels: (n,) labels to rename; −1 stays −1.
        sample: (m,) labels of the rows that are matched by, in the naming of `labels`.
        reference: (m,) labels of the same rows, in the naming that is wanted.

    Returns:
        (n,) int64; −2 for a label that found no partner.
    """
    n_new = int(max(labels.max(initial=-1), sample.max(initial=-1))) + 1
    n_old = int(reference.max(initial=-1)) + 1
    if n_new == 0:
        return np.full(len(labels), -1, np.int64)
    names = np.full(n_new + 1, -2, np.int64)
    names[-1] = -1
    for new, old in pairs(overlaps(sample, reference, n_new, n_old)):
        names[new] = old
    return names[labels]
