"""Davies-Bouldin index (1979): mean over segments of the worst ratio of spread to separation; lower is better.

Euclidean; noise (−1) is left out. Equals scikit-learn's on what is left.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.reports import Metric
from tasks.metrics._labels import encode
from tasks.metrics._moments import moments

if TYPE_CHECKING:
    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext


def davies_bouldin(X: np.ndarray, labels: np.ndarray) -> float:
    """Mean over segments i of max over j of (spread_i + spread_j) / |centroid_i − centroid_j|.

    Args:
        X: (n, d) vectors.
        labels: (n,) integers, −1 for noise.

    Returns:
        A float from 0; NaN where there is one segment or none. As in scikit-learn, segments without spread or
        centroids that all coincide give 0, and a pair of coinciding centroids is passed over.
    """
    codes = encode(labels, len(X))
    if codes.k < 2:
        return float("nan")
    found = moments(X, codes)
    member = codes.codes >= 0
    spread = np.bincount(codes.codes[member], np.sqrt(found.squared[member]), codes.k) / codes.counts
    between = _distances(found.centroids)
    if np.allclose(spread, 0) or np.allclose(between, 0):
        return 0.0
    between[between == 0] = np.inf
    return float(np.mean(np.max((spread[:, None] + spread) / between, axis=1)))


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """Davies-Bouldin index of the candidate, in Euclidean space."""
    codes = encode(context.labels, len(context.X))
    rest: dict[str, Any] = {"space": "euclidean", "noise_share": codes.noise_share}
    if codes.k < 2:
        return Metric.of("davies_bouldin", np.nan, len(context.X), reason=f"needs two segments, has {codes.k}", **rest)
    return Metric.of("davies_bouldin", davies_bouldin(context.X, context.labels), int(codes.counts.sum()), **rest)


def _distances(centroids: np.ndarray) -> np.ndarray:
    """(k, k) Euclidean distances, row by row as differences: exact for centroids that are close."""
    return np.stack([np.linalg.norm(centroids - row, axis=1) for row in centroids])
