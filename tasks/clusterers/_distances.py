"""Exact distances: a matrix product finds the few candidates, float64 differences decide.

A product x·c in float32 gives other last digits for one row than for a thousand (1e-4 in a squared distance), so a user
near a border could change segment between training and serving. Differences summed row by row do not.
"""

from typing import Literal

import numpy as np

Space = Literal["cosine", "euclidean"]
CHUNK_BYTES = 1 << 21  # of float64 rows: stays in the second-level cache


def paired_squares(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Squared distances (m,) float64 between the rows of A (m, d) and of B (m, d), each row on its own."""
    difference = np.subtract(A, B, dtype=np.float64)
    np.square(difference, out=difference)
    return difference.sum(axis=1)


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Rows of X (n, d) scaled to length 1, float64; a row of zeros stays zeros."""
    rows = np.ascontiguousarray(X, dtype=np.float64)
    length = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


def points(X: np.ndarray, space: Space) -> np.ndarray:
    """X (n, d) as float64 points whose squared Euclidean distance is `squared_radius` of a distance in `space`."""
    return unit_rows(X) if space == "cosine" else np.ascontiguousarray(X, dtype=np.float64)


def from_squares(squares: np.ndarray, space: Space) -> np.ndarray:
    """Distances in `space` from squared distances of `points`: 1 − cosine = |u − v|² / 2 for unit vectors."""
    return squares / 2 if space == "cosine" else np.sqrt(squares)


def squared_radius(distance: float, space: Space) -> float:
    """The squared distance of `points` that a distance in `space` stands for; the inverse of `from_squares`."""
    return 2.0 * distance if space == "cosine" else distance * distance


def chunk_rows(width: int) -> int:
    """Rows of `width` float64 columns that fit the cache."""
    return max(64, CHUNK_BYTES // (8 * max(1, width)))


def rounding(d: int, dtype: np.dtype, norms: np.ndarray, largest: float) -> np.ndarray:
    """Bound (m,) on the error of |x|² − 2 x·c + |c|² at `dtype`, for squared norms (m,) and the largest |c|²."""
    return 4.0 * (d + 8) * float(np.finfo(dtype).eps) * (norms + largest)


def nearest(X: np.ndarray, centroids: np.ndarray, space: Space) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest centroid of each row, by exact float64 differences; ties go to the lower number.

    Under cosine a row (or a centroid) of zeros points nowhere and is at distance 1 from everything.

    Args:
        X: (n, d) rows.
        centroids: (k, d).
        space: "cosine" or "euclidean".

    Returns:
        labels (n,) int32, distance (n,) float64 in `space`, second (n,) int32, −1 where k is 1.
    """
    targets = points(centroids, space)
    labels, second = np.empty(len(X), np.int32), np.empty(len(X), np.int32)
    distance = np.empty(len(X))
    step = chunk_rows(X.shape[1] + len(targets))
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        labels[part], distance[part], second[part] = _nearest_chunk(points(X[part], space), targets, space)
    return labels, distance, second


def distances_to(X: np.ndarray, centroids: np.ndarray, labels: np.ndarray, space: Space) -> np.ndarray:
    """Exact distance (n,) float64 of each row of X (n, d) to the centroid of its label (n,), 0 or more."""
    targets, distance = points(centroids, space), np.empty(len(X))
    step = chunk_rows(X.shape[1])
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        rows, aims = points(X[part], space), targets[labels[part]]
        squares = paired_squares(rows, aims)
        if space == "cosine":
            squares[~(rows.any(axis=1) & aims.any(axis=1))] = 2.0
        distance[part] = from_squares(squares, space)
    return distance


def _nearest_chunk(rows: np.ndarray, targets: np.ndarray, space: Space) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    i, j = _candidates(rows, targets)
    exact = np.full((len(rows), len(targets)), np.inf)
    exact[i, j] = paired_squares(rows[i], targets[j])
    if space == "cosine":
        exact[~rows.any(axis=1)] = 2.0
        exact[:, ~targets.any(axis=1)] = 2.0
    everyone = np.arange(len(rows))
    labels = exact.argmin(axis=1)
    distance = from_squares(exact[everyone, labels], space)
    if len(targets) == 1:
        return labels, distance, np.full(len(rows), -1)
    exact[everyone, labels] = np.inf
    return labels, distance, exact.argmin(axis=1)


def _candidates(rows: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (row, target) that may be a row's nearest or second nearest target, whatever the rounding."""
    norms, sizes = np.square(rows).sum(axis=1), np.square(targets).sum(axis=1)
    rough = rows @ targets.T
    rough *= -2
    rough += sizes
    bound = 2 * rounding(rows.shape[1], rows.dtype, norms, sizes.max())
    cut = np.partition(rough, 1, axis=1)[:, 1] if len(targets) > 1 else rough[:, 0]
    i, j = np.nonzero(rough <= (cut + bound)[:, None])
    return i, j
