"""Calinski-Harabasz index (1974): variance between segments over variance within, per degree of freedom.

Higher is better. Euclidean; noise (−1) is left out. Equals scikit-learn's on what is left.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.reports import Metric
from tasks.metrics._labels import encode
from tasks.metrics._moments import moments

if TYPE_CHECKING:
    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext


def calinski_harabasz(X: np.ndarray, labels: np.ndarray) -> float:
    """(between / (k − 1)) / (within / (n − k)).

    Args:
        X: (n, d) vectors.
        labels: (n,) integers, −1 for noise.

    Returns:
        A float from 0; NaN where there are fewer than 2 segments or as many as users; 1 where nothing varies within
        a segment (scikit-learn's convention).
    """
    codes = encode(labels, len(X))
    n = int(codes.counts.sum())
    if not 2 <= codes.k < n:
        return float("nan")
    found = moments(X, codes)
    within = float(np.nansum(found.squared))
    centre = np.average(found.centroids, axis=0, weights=codes.counts)
    between = float(codes.counts @ np.square(found.centroids - centre).sum(axis=1))
    return 1.0 if within == 0 else between * (n - codes.k) / (within * (codes.k - 1.0))


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """Calinski-Harabasz index of the candidate, in Euclidean space."""
    codes = encode(context.labels, len(context.X))
    rest: dict[str, Any] = {"space": "euclidean", "noise_share": codes.noise_share}
    if not 2 <= codes.k < int(codes.counts.sum()):
        return Metric.of(
            "calinski_harabasz",
            np.nan,
            len(context.X),
            **rest,
            reason=f"needs 2 segments and fewer than there are users, has {codes.k}",
        )
    return Metric.of("calinski_harabasz", calinski_harabasz(context.X, context.labels), int(codes.counts.sum()), **rest)
