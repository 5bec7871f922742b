"""Silhouette: how much nearer a user is to the own segment than to the next one (Rousseeuw 1987), in [−1, 1].

Exact under cosine and squared Euclidean distance in O(n·k·d), exact under Euclidean distance by blocks in O(n²·d).
Noise (−1) is left out; singletons score 0.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import DataError
from schemas.reports import Metric
from tasks.metrics._labels import Codes, encode, refuse_non_finite
from tasks.metrics._pairs import euclidean_samples
from tasks.metrics._sums import CLOSED_FORM, Sums, merge, origin_of, partial_sums, silhouette_from_sums

if TYPE_CHECKING:
    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext

__all__ = [
    "Sums",
    "compute",
    "merge",
    "partial_sums",
    "silhouette",
    "silhouette_from_sums",
    "silhouette_sampled",
    "silhouette_samples",
]


def silhouette(X: np.ndarray, labels: np.ndarray, metric: str = "cosine", device: str = "cpu") -> float:
    """Mean silhouette over the users with a segment.

    Args:
        X: (n, d) vectors, an ndarray or (closed forms only) a Dask array chunked by rows.
        labels: (n,) integers, −1 for noise.
        metric: "cosine", "sqeuclidean" or "euclidean".
        device: "cpu", or a torch device for the blocks of the Euclidean one.

    Returns:
        A float in [−1, 1]; NaN where there is one segment or none.

    Raises:
        DataError: Labels don't align with the rows, X holds NaN or infinity, or the metric is unknown.
    """
    return _mean(silhouette_samples(X, labels, metric, device))


def silhouette_samples(X: np.ndarray, labels: np.ndarray, metric: str = "cosine", device: str = "cpu") -> np.ndarray:
    """Silhouette of each user: (n,) float64; NaN for noise, and for all where there is one segment or none."""
    codes = encode(labels, X.shape[0])
    if codes.k < 2:
        return np.full(X.shape[0], np.nan)
    if not isinstance(X, np.ndarray) and hasattr(X, "to_delayed"):
        from tasks.metrics._dask import dask_samples

        return dask_samples(X, codes, metric)
    if metric in CLOSED_FORM:
        origin = origin_of(X) if metric == "sqeuclidean" else None
        sums = partial_sums(X, codes.codes, codes.k, metric, origin)
        return silhouette_from_sums(X, codes.codes, sums, metric)
    if metric != "euclidean":
        raise DataError(f"silhouette: metric {metric!r} is unknown; use cosine, sqeuclidean or euclidean")
    refuse_non_finite(X)  # of all rows, so that the row it names is one of the caller's
    member, out = codes.codes >= 0, np.full(len(X), np.nan)
    out[member] = euclidean_samples(X[member], codes.codes[member], codes.counts, device=device)
    return out


def silhouette_sampled(
    X: np.ndarray, labels: np.ndarray, size: int, rng: np.random.Generator, device: str = "cpu"
) -> tuple[float, float]:
    """Euclidean silhouette of `size` random users, each against all users, and its standard error.

    The mean is unbiased for the exact silhouette; the error allows for the sample being drawn without replacement.

    Returns:
        (mean, standard error); NaN where there is one segment or none.
    """
    codes = encode(labels, len(X))
    members = np.flatnonzero(codes.codes >= 0)
    if codes.k < 2:
        return float("nan"), float("nan")
    size = min(size, len(members))
    rows = np.sort(rng.choice(len(members), size, replace=False))
    values = euclidean_samples(X[members], codes.codes[members], codes.counts, rows, device)
    left = 1.0 - size / len(members)
    return float(values.mean()), float(values.std(ddof=1) * np.sqrt(left / size)) if size > 1 else float("nan")


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """Silhouette in the candidate's space, with both closed forms beside it so that spaces can be compared.

    Under Euclidean distance all users are used up to `config.silhouette_sample`; beyond that a sample is, of a size
    that keeps the number of distances the same.
    """
    X, codes = context.X, encode(context.labels, len(context.X))
    if codes.k < 2:
        return Metric.of(
            "silhouette",
            np.nan,
            len(X),
            space=context.space,
            noise_share=codes.noise_share,
            reason=f"needs two segments, has {codes.k}",
        )
    closed = {metric: silhouette_samples(X, codes.codes, metric) for metric in CLOSED_FORM}
    details: dict[str, Any] = {metric: _mean(values) for metric, values in closed.items()}
    value, used, interval = details["cosine"], closed["cosine"], None
    if context.space != "cosine":
        value, used, interval = _euclidean(context, config, codes, closed["sqeuclidean"], details)
    details["segments"] = codes.by_segment(used)
    return Metric.of(
        "silhouette",
        value,
        int(codes.counts.sum()),
        interval=interval,
        space=context.space,
        seed=context.seed if interval else None,
        sampled=interval is not None,
        noise_share=codes.noise_share,
        details=details,
    )


def _euclidean(
    context: "EvaluationContext", config: "EvaluateConfig", codes: Codes, squared: np.ndarray, details: dict[str, Any]
) -> tuple[float, np.ndarray, tuple[float, float] | None]:
    """Value, per-user silhouettes for the segments' means, and the interval where sampled."""
    n, limit = int(codes.counts.sum()), config.silhouette_sample
    if n <= limit:
        used = silhouette_samples(context.X, codes.codes, "euclidean")
        return _mean(used), used, None
    size = max(min(1000, limit), limit * limit // n)
    value, error = silhouette_sampled(context.X, codes.codes, size, np.random.default_rng(context.seed))
    details.update(standard_error=error, sample=size, segments_space="sqeuclidean")
    return value, squared, (value - 1.96 * error, value + 1.96 * error)


def _mean(values: np.ndarray) -> float:
    """Mean without noise; NaN where nothing is left."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")
