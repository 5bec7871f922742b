"""From balanced columns to fewer dimensions: PCA, random projection, or none; and what each block delivers."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from schemas.config import RepresentConfig

CHUNK = 1_024  # rows; keeps the running sums of a chunk in a core's cache


def balance(covariance: np.ndarray, widths: Sequence[int], weights: Sequence[float]) -> np.ndarray:
    """(d,) factors that give each block its share of the total variance.

    A block with total variance V (the trace of its part of the covariance) and weight w gets √(w / (V · Σw)), so that
    the sum over blocks is 1. Blocks without variance or weight get 0, and the others share what they leave.

    Args:
        covariance: (d, d) of the scaled columns.
        widths: Columns per block, in order; their sum is d.
        weights: Relative weight per block, at least 0.
    """
    variances = np.diag(covariance)
    edges = np.cumsum([0, *widths])
    totals = np.array([variances[a:b].sum() for a, b in pairwise(edges)])
    used = np.where(totals > 0, np.asarray(weights, np.float64), 0.0)
    total = used.sum()
    factors = [np.sqrt(w / (total * v)) if w > 0 else 0.0 for w, v in zip(used, totals, strict=True)]
    return np.repeat(factors, widths)


def reducer(covariance: np.ndarray, config: RepresentConfig, rng: np.random.Generator) -> np.ndarray:
    """(d, m) matrix that takes balanced columns to the vector.

    Args:
        covariance: (d, d) of the balanced columns.
        config: `reducer`, `dimension`, `variance_share`.
        rng: Draws the random projection; PCA and none draw nothing.
    """
    d = len(covariance)
    if config.reducer == "none":
        return np.eye(d)
    if config.reducer == "random_projection":
        m = min(config.dimension or d, d)
        return rng.standard_normal((d, m)) / np.sqrt(m)
    return principal_axes(covariance, config.dimension, config.variance_share)


def principal_axes(covariance: np.ndarray, dimension: int | None, variance_share: float) -> np.ndarray:
    """(d, m) first eigenvectors: as few as hold `variance_share` of the variance, at most `dimension`, at least 1.

    The entry of largest size of each axis is positive, so that a refit gives the same signs.
    """
    values, axes = np.linalg.eigh(covariance)
    values, axes = np.maximum(values[::-1], 0.0), axes[:, ::-1]
    total = values.sum()
    held = np.cumsum(values) / total if total > 0 else np.ones(len(values))
    enough = int(np.searchsorted(held, variance_share * (1 - 1e-12))) + 1
    rank = max(1, int((values > values[0] * 1e-10).sum())) if len(values) else 0
    m = min(enough, rank, dimension or len(values), len(values))
    axes = axes[:, :m]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(m)])
    return axes * np.where(signs == 0, 1.0, signs)


def delivered(covariance: np.ndarray, projection: np.ndarray, names: Sequence[str], widths: Sequence[int]) -> Mapping:
    """Block -> its share of the variance of the reduced vectors: Σ_a∈block (R ∘ C R)_a / trace(Rᵀ C R).

    Args:
        covariance: (d, d) C, of the balanced columns.
        projection: (d, m) R.
        names: Blocks, in order.
        widths: Columns per block, in order.
    """
    parts = (projection * (covariance @ projection)).sum(axis=1)
    total = parts.sum()
    edges = np.cumsum([0, *widths])
    shares = [parts[a:b].sum() / total if total > 0 else 0.0 for a, b in pairwise(edges)]
    return {name: float(share) for name, share in zip(names, shares, strict=True)}


def kept_share(covariance: np.ndarray, factors: np.ndarray, projection: np.ndarray) -> float:
    """Variance of balanced columns that a projection's vectors explain, as a share of what as many best axes would.

    Args:
        covariance: (d, d) C, of the scaled columns.
        factors: (d,) that balance them.
        projection: (d, m) P, from scaled columns to vectors; what explains F x best is linear in P'x.
    """
    balanced = covariance * np.outer(factors, factors)
    best = np.sort(np.linalg.eigvalsh(balanced))[::-1][: projection.shape[1]].sum()
    shared = (covariance * factors[:, None]) @ projection
    kept = float(np.trace(shared @ np.linalg.pinv(projection.T @ covariance @ projection) @ shared.T))
    return float(min(1.0, kept / best)) if best > 0 else 1.0


def project(x: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """(n, m) x @ projection in float64, where a row's bits don't depend on the rows beside it.

    BLAS picks its kernel, and with it the order of a sum, by the shape of the whole matrix; here the d products of an
    element are added in column order whatever n is.
    """
    n, m = len(x), projection.shape[1]
    out = np.zeros((n, m))
    used = np.flatnonzero(np.any(projection != 0, axis=1))
    for start in range(0, n, CHUNK):
        part = out[start : start + CHUNK]
        columns = np.ascontiguousarray(x[start : start + CHUNK, used].T)
        product = np.empty_like(part)
        for column, row in zip(columns, projection[used], strict=True):
            np.multiply(column[:, None], row, out=product)
            part += product
    return out


def unit_rows(x: np.ndarray) -> np.ndarray:
    """(n, m) rows of length 1; a row of zeros stays. Squares are added in column order (see `project`)."""
    squares = np.zeros(len(x))
    for j in range(x.shape[1]):
        squares += x[:, j] * x[:, j]
    length = np.sqrt(squares)
    return x / np.where(length > 0, length, 1.0)[:, None]
