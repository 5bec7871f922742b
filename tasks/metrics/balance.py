"""Balance of the segments' sizes: 1 − Gini coefficient, 1 where all are equal. Noise (−1) is left out."""

from typing import TYPE_CHECKING

import numpy as np

from schemas.reports import Metric
from tasks.metrics._labels import encode

if TYPE_CHECKING:
    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext


def balance(labels: np.ndarray) -> float:
    """1 − Gini of the sizes of the segments of (n,) labels; NaN without segments."""
    counts = encode(labels).counts
    return 1.0 - gini(counts) if len(counts) else float("nan")


def gini(values: np.ndarray) -> float:
    """Gini coefficient of (k,) non-negative values: mean absolute difference over twice the mean, in [0, 1)."""
    ordered = np.sort(np.asarray(values, np.float64))
    k, total = len(ordered), ordered.sum()
    return float((2 * np.arange(1, k + 1) - k - 1) @ ordered / (k * total)) if total > 0 else 0.0


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """Balance, with Gini, number of segments, smallest and largest size; shares are of the users with a segment."""
    codes = encode(context.labels, len(context.X))
    n = int(codes.counts.sum())
    if not codes.k:
        return Metric.of("balance", np.nan, 0, noise_share=codes.noise_share, reason="no user has a segment")
    unequal = gini(codes.counts)
    details = {
        "gini": unequal,
        "count": codes.k,
        "smallest_users": int(codes.counts.min()),
        "largest_users": int(codes.counts.max()),
        "largest_share": float(codes.counts.max() / n),
        "smallest_share": float(codes.counts.min() / n),
        "segments": {str(name): int(size) for name, size in zip(codes.names, codes.counts, strict=True)},
    }
    return Metric.of("balance", 1.0 - unequal, n, noise_share=codes.noise_share, details=details)
