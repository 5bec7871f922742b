"""Distances that one user and a million users get to the last bit alike.

Every sum runs over the dimensions in order, one after the other: numpy's own row sums choose their order by shape.
"""

import numpy as np


def rows(X: np.ndarray, C: np.ndarray, space: str) -> np.ndarray:
    """(n,) float64 distance of each row of X (n, d) to the row of C (n, d) beside it.

    Args:
        X: Vectors.
        C: One partner for each.
        space: "euclidean": sqrt(sum (x - c)^2); "cosine": 1 - x.c / (|x| |c|), 1 where either is 0.
    """
    return _between(_columns(X), _columns(C), space)


def table(X: np.ndarray, C: np.ndarray, space: str) -> np.ndarray:
    """(n, k) float64 distances of rows of X (n, d) to the k rows of C; see `rows`."""
    out, left = np.empty((len(X), len(C))), _columns(X)
    for label, centroid in enumerate(np.asarray(C, np.float64)):
        out[:, label] = _between(left, centroid, space)
    return out


def _between(left: np.ndarray, right: np.ndarray, space: str) -> np.ndarray:
    """(n,) distances of (d, n) columns to (d, n) others, or to one row of (d,) numbers."""
    n = left.shape[1]
    if space == "euclidean":
        total = np.zeros(n)
        for x, c in zip(left, right, strict=True):
            total += (x - c) ** 2
        return np.sqrt(total)
    dot, left_square, right_square = (np.zeros(n) for _ in range(3))
    for x, c in zip(left, right, strict=True):
        dot += x * c
        left_square += x * x
        right_square += c * c
    length = np.sqrt(left_square) * np.sqrt(right_square)
    return 1.0 - np.divide(dot, length, out=np.zeros(n), where=length > 0)


def _columns(X: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(X, np.float64).T)
