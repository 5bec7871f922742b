"""Within-cluster sum of squares, mean distance to the centroid and radius: how tight segments are.

Noise (−1) is left out. Recomputed here because dask-ml's `inertia_` is not squared.
"""

from typing import TYPE_CHECKING

import numpy as np

from schemas.reports import Metric
from tasks.metrics._labels import encode
from tasks.metrics._moments import moments

if TYPE_CHECKING:
    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext


def wcss(X: np.ndarray, labels: np.ndarray) -> float:
    """Sum of squared Euclidean distances of (n, d) vectors to the mean of their segment; NaN without segments."""
    codes = encode(labels, len(X))
    return float(np.nansum(moments(X, codes).squared)) if codes.k else float("nan")


def intra_distance(X: np.ndarray, labels: np.ndarray) -> float:
    """Mean Euclidean distance of users to the mean of their segment; NaN without segments."""
    codes = encode(labels, len(X))
    return float(np.nanmean(np.sqrt(moments(X, codes).squared))) if codes.k else float("nan")


def radius(X: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(k,) largest Euclidean distance of a member to the mean of its segment, in ascending order of labels."""
    codes = encode(labels, len(X))
    return _largest(np.sqrt(moments(X, codes).squared), codes.codes, codes.k)


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """The sum of squares, with distances and radii overall and per segment in the details."""
    codes = encode(context.labels, len(context.X))
    n = int(codes.counts.sum())
    if not codes.k:
        return Metric.of(
            "wcss", np.nan, 0, space="sqeuclidean", noise_share=codes.noise_share, reason="no user has a segment"
        )
    squared = moments(context.X, codes).squared
    distance = np.sqrt(squared)
    radii = _largest(distance, codes.codes, codes.k)
    details = {
        "per_user": float(np.nansum(squared) / n),
        "mean_distance": float(np.nanmean(distance)),
        "mean_radius": float(radii.mean()),
        "max_radius": float(radii.max()),
        "segments": codes.by_segment(distance),
        "radii": {str(name): float(value) for name, value in zip(codes.names, radii, strict=True)},
    }
    return Metric.of(
        "wcss", float(np.nansum(squared)), n, space="sqeuclidean", noise_share=codes.noise_share, details=details
    )


def _largest(values: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    """(k,) largest value of each segment."""
    out = np.zeros(k)
    np.maximum.at(out, codes[codes >= 0], values[codes >= 0])
    return out
