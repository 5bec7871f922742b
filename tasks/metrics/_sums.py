"""Closed-form silhouette: distances to whole clusters from per-cluster sums, in O(n·k·d) and summable over buckets."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.errors import DataError
from tasks.metrics._labels import chunks, one_hot

CLOSED_FORM = ("cosine", "sqeuclidean")
_RESOLUTION = 1e-13  # mean distances below this share of the vectors' scale are rounding: zero


@dataclass(frozen=True)
class Sums:
    """What the closed form needs to know of k clusters.

    Attributes:
        counts: (k,) members.
        sums: (k, d) float64, sums of the members' vectors (of unit vectors under cosine).
        squares: (k,) float64, sums of the members' squared lengths.
        origin: (d,) float64, subtracted from every vector first (against cancellation); zeros under cosine.
    """

    counts: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    origin: np.ndarray


def origin_of(X: Any) -> np.ndarray:
    """(d,) float64 point amid most of X (n, d), an array or a Dask array: the median of some 4096 rows.

    The mean would do for shifted data, but a few users far away would pull it from all others.
    """
    return np.median(np.asarray(X[:: max(1, X.shape[0] // 4096)], np.float64), axis=0)


def partial_sums(
    X: np.ndarray, labels: np.ndarray, k: int, metric: str = "cosine", origin: np.ndarray | None = None
) -> Sums:
    """Sums of one bucket.

    Args:
        X: (m, d) vectors.
        labels: (m,) in 0..k-1, −1 for noise.
        k: Number of clusters over all buckets.
        metric: "cosine" or "sqeuclidean".
        origin: (d,) a point near the data, the same for all buckets; None: zeros. Only for "sqeuclidean".

    Raises:
        DataError: Another metric, or X holds NaN or infinity.
    """
    if metric not in CLOSED_FORM:
        raise DataError(f"metric {metric!r} has no closed form; use one of {', '.join(CLOSED_FORM)}")
    labels = np.asarray(labels)
    origin = np.zeros(X.shape[1]) if origin is None or metric == "cosine" else np.asarray(origin, np.float64)
    sums, squares = np.zeros((k, X.shape[1])), np.zeros(k)
    for rows, chunk in chunks(X, k, origin if origin.any() else None):
        lengths = np.einsum("ij,ij->i", chunk, chunk)
        if metric == "cosine":
            sums += one_hot(labels[rows], k, _inverse(lengths)).T @ chunk
            lengths = (lengths > 0).astype(np.float64)
        else:
            sums += one_hot(labels[rows], k).T @ chunk
        squares += one_hot(labels[rows], k).T @ lengths
    return Sums(np.bincount(labels[labels >= 0], minlength=k), sums, squares, origin)


def merge(a: Sums, b: Sums) -> Sums:
    """Sums of two buckets together; both must have one origin."""
    if not np.array_equal(a.origin, b.origin):
        raise DataError("sums of two origins cannot be merged: give every bucket the same origin")
    return Sums(a.counts + b.counts, a.sums + b.sums, a.squares + b.squares, a.origin)


def silhouette_from_sums(X: np.ndarray, labels: np.ndarray, sums: Sums, metric: str = "cosine") -> np.ndarray:
    """Silhouette of each row of a bucket, given the sums over all buckets.

    The sum of distances from x to cluster c is n_c − x·S_c for unit vectors under cosine, and
    n_c·|x|² − 2x·S_c + Q_c under squared Euclidean distance.

    Args:
        X: (m, d) vectors of the bucket.
        labels: (m,) in 0..k-1, −1 for noise.
        sums: `merge` of the `partial_sums` of all buckets.
        metric: The metric of the sums.

    Returns:
        (m,) float64, NaN for noise, 0 for a singleton; the overall value is their mean without noise.
    """
    labels = np.asarray(labels)
    out = np.full(len(X), np.nan)
    for rows, chunk in chunks(X, len(sums.counts), sums.origin if sums.origin.any() else None):
        lengths = np.einsum("ij,ij->i", chunk, chunk)
        products = chunk @ sums.sums.T
        if metric == "cosine":
            products *= _inverse(lengths)[:, None]
            totals, own = sums.counts - products, (lengths == 0).astype(np.float64)
            scale = np.ones(1)
        else:
            totals = lengths[:, None] * sums.counts - 2.0 * products + sums.squares
            own = np.zeros(len(chunk))
            scale = lengths[:, None] + sums.squares / np.maximum(sums.counts, 1)
        out[rows] = scores(totals, labels[rows], sums.counts, own, scale * _RESOLUTION)
    return out


def scores(
    totals: np.ndarray,
    codes: np.ndarray,
    counts: np.ndarray,
    own: np.ndarray | float = 0.0,
    floor: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Silhouettes from summed distances (Rousseeuw 1987): (b − a) / max(a, b).

    Args:
        totals: (m, k) sums of distances to all members of each cluster; overwritten.
        codes: (m,) own cluster, −1 for noise.
        counts: (k,) members; an empty cluster is no neighbour.
        own: (m,) distance of a row to itself as it stands in `totals` (1 for a zero vector under cosine).
        floor: (m, k), or what becomes it: mean distances up to this are zero.
    """
    rows = np.arange(len(codes))
    mates = counts[codes] - 1
    a = (totals[rows, codes] - own) / np.maximum(mates, 1)
    totals /= np.where(counts > 0, counts, np.nan)
    totals[:, counts == 0] = np.inf
    totals[rows, codes] = np.inf
    next_ = totals.argmin(axis=1)
    b, floor = totals[rows, next_], np.broadcast_to(floor, totals.shape)
    a, b = np.where(a <= floor[rows, codes], 0.0, a), np.where(b <= floor[rows, next_], 0.0, b)
    larger = np.maximum(a, b)
    out = np.divide(b - a, larger, out=np.zeros(len(codes)), where=(larger > 0) & (mates > 0))
    out[codes < 0] = np.nan
    return out


def _inverse(lengths: np.ndarray) -> np.ndarray:
    """1 / sqrt of squared lengths, 0 for a zero vector."""
    return np.divide(1.0, np.sqrt(lengths), out=np.zeros_like(lengths), where=lengths > 0)
