"""Hierarchical clustering of points that stand for many: a leaf weighs as much as the users behind it.

Paper: Lance and Williams 1967, A general theory of classificatory sorting strategies; Ward 1963. With weights of 1 it
is SciPy's linkage.
"""

from typing import Literal

import numpy as np


def linkage(distances: np.ndarray, weights: np.ndarray, method: Literal["ward", "average"]) -> np.ndarray:
    """(m − 1, 4) merges as SciPy writes them: the two that merge, their height, how many leaves they hold together.

    Args:
        distances: (m, m) squared Euclidean distances of the leaves for ward, any distances for average.
        weights: (m,) users behind each leaf, above 0.
        method: ward: a merge costs what it adds to the sum of squares, √(2 wₐw_b / (wₐ + w_b)) · distance at first;
            average: the mean distance over all pairs of users.
    """
    m, weights = len(weights), weights.astype(np.float64)
    ward = method == "ward"
    D = distances * (2 * weights[:, None] * weights / (weights[:, None] + weights) if ward else 1.0)
    np.fill_diagonal(D, np.inf)
    names, leaves, merges = np.arange(m), np.ones(m), np.empty((m - 1, 4))
    for step in range(m - 1):
        nearest = D.argmin(axis=1)
        first = D[np.arange(m), nearest].argmin()
        i, j = sorted((first, nearest[first]))
        merged = _updated(D[i], D[j], D[i, j], weights, (i, j), ward)
        leaves[i] += leaves[j]
        weights[i] += weights[j]
        merges[step] = (*sorted((names[i], names[j])), np.sqrt(D[i, j]) if ward else D[i, j], leaves[i])
        names[i] = m + step
        D[i] = D[:, i] = merged
        D[j] = D[:, j] = np.inf
    return merges


def _updated(
    to_i: np.ndarray, to_j: np.ndarray, height: float, weights: np.ndarray, pair: tuple[int, int], ward: bool
) -> np.ndarray:
    """(m,) distances of the merged two from all others; infinite to themselves and to what has merged away."""
    a, b = weights[list(pair)]
    if ward:
        merged = ((a + weights) * to_i + (b + weights) * to_j - weights * height) / (a + b + weights)
    else:
        merged = (a * to_i + b * to_j) / (a + b)
    merged[list(pair)] = np.inf
    return merged
