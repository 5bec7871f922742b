"""Share of users whom the candidate leaves without a segment (label −1)."""

from typing import TYPE_CHECKING

import numpy as np

from schemas.reports import Metric
from tasks.metrics._labels import encode

if TYPE_CHECKING:
    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext


def noise_share(labels: np.ndarray) -> float:
    """Share of −1 among (n,) labels, in [0, 1]; NaN without users."""
    codes = encode(labels)
    return codes.noise_share if len(codes.codes) else float("nan")


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """Noise share over all users, with the number of users left out."""
    value = noise_share(context.labels)
    details = {"users": int(np.sum(np.asarray(context.labels) < 0))}
    return Metric.of("noise_share", value, len(context.labels), noise_share=max(value, 0.0), details=details)
