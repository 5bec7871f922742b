"""How far fits from other seeds lie apart, where an algorithm makes several and keeps one.

The value is the median adjusted Rand index of two fits; beside it the quartiles, and the median and the quartiles over
the fits of the silhouette under cosine and of the sum of squares, both on the users' vectors.
"""

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.reports import Metric
from tasks.metrics._labels import encode
from tasks.metrics.silhouette import silhouette
from tasks.metrics.stability import agreed
from tasks.metrics.wcss import wcss

if TYPE_CHECKING:
    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext

QUARTILES = (0.25, 0.5, 0.75)


def fits(X: np.ndarray, every: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """Quartiles, the median amid them, of what fits differ in.

    Args:
        X: (n, d) vectors.
        every: (s, n) labels of each fit, −1 for noise.

    Returns:
        `agreement` of each two (adjusted Rand index), `silhouette` (cosine) and `wcss` of each; NaN: there is none.
    """
    values = {
        "agreement": [agreed(one, other) for one, other in combinations([encode(labels) for labels in every], 2)],
        "silhouette": [silhouette(X, labels) for labels in every],
        "wcss": [wcss(X, labels) for labels in every],
    }
    return {name: _quartiles(np.asarray(found)) for name, found in values.items()}


def _quartiles(values: np.ndarray) -> tuple[float, float, float]:
    known = values[np.isfinite(values)]
    low, middle, high = np.quantile(known, QUARTILES).tolist() if len(known) else [np.nan] * 3
    return low, middle, high


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """The spread of `context.fits`; missing where the algorithm makes one fit only."""
    rest = {"space": "cosine", "noise_share": encode(context.labels, len(context.X)).noise_share}
    if context.fits is None or len(context.fits) < 2:
        return Metric.of("fits", np.nan, len(context.X), reason="the algorithm makes one fit", **rest)
    found = fits(context.X, context.fits)
    low, value, high = found.pop("agreement")
    details: dict[str, Any] = {"count": len(context.fits), "low": low, "high": high}
    for name, quartiles in found.items():
        if np.isfinite(quartiles).all():
            details |= dict(zip((f"{name}_low", name, f"{name}_high"), quartiles, strict=True))
    return Metric.of("fits", value, len(context.X), seed=context.seed, details=details, **rest)
