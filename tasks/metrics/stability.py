"""Stability: do the segments come back when the candidate is refitted on bootstrap samples of the users?

The value is the mean adjusted Rand index (Hubert & Arabie 1985) between the candidate and its refits over all users;
per segment the mean best Jaccard overlap (Hennig 2007). Users without a segment count as a group of their own on either
side: a refit that leaves out other users than the candidate is not the same segmentation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.reports import Metric
from tasks.metrics._labels import Codes, encode, one_hot

if TYPE_CHECKING:
    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext


@dataclass(frozen=True)
class Stability:
    """What the refits showed.

    Attributes:
        rand: (refits,) adjusted Rand index of each refit with the candidate.
        jaccard: (k,) mean over refits of the best Jaccard overlap of each segment, in ascending order of labels.
        noise: (refits,) share of users whom each refit left without a segment.
    """

    rand: np.ndarray
    jaccard: np.ndarray
    noise: np.ndarray

    @property
    def mean(self) -> float:
        """Mean adjusted Rand index; NaN without refits."""
        return float(self.rand.mean()) if len(self.rand) else float("nan")

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % t-interval of the mean over refits, cut at 1; None with fewer than two refits."""
        if len(self.rand) < 2:
            return None
        from scipy.stats import t

        half = float(t.ppf(0.975, len(self.rand) - 1) * self.rand.std(ddof=1) / np.sqrt(len(self.rand)))
        return max(self.mean - half, -1.0), min(self.mean + half, 1.0)


def stability(
    labels: np.ndarray, refit: Callable[[np.ndarray, int], np.ndarray], refits: int, rng: np.random.Generator
) -> Stability:
    """Refit on bootstrap samples of the users and compare.

    Args:
        labels: (n,) labels of the candidate, −1 for noise.
        refit: Fits on the given row numbers (with repeats) with a seed, and labels all n rows.
        refits: How often.
        rng: Draws the samples and the seeds.
    """
    base = encode(labels)
    rand, overlaps, noise = np.empty(refits), np.empty((refits, base.k)), np.empty(refits)
    for turn in range(refits):
        rows = rng.integers(len(base.codes), size=len(base.codes))
        other = encode(refit(rows, int(rng.integers(2**31))), len(base.codes))
        rand[turn] = agreed(base, other)
        table = contingency(base, other)
        union = base.counts[:, None] + other.counts - table
        overlaps[turn] = (table / union).max(axis=1, initial=0.0)
        noise[turn] = other.noise_share
    return Stability(rand, overlaps.mean(axis=0) if refits else np.full(base.k, np.nan), noise)


def with_noise(codes: Codes) -> Codes:
    """The same where users without a segment are one more group, the last."""
    noise = codes.codes < 0
    if not noise.any():
        return codes
    full = np.where(noise, codes.k, codes.codes)
    return Codes(np.append(codes.names, codes.names.max(initial=-1) + 1), full, np.bincount(full))


def contingency(a: Codes, b: Codes) -> np.ndarray:
    """(k_a, k_b) float64 numbers of users in both segments; users who are noise on either side are left out."""
    return np.asarray((one_hot(a.codes, a.k).T @ one_hot(b.codes, b.k)).todense())


def agreed(a: Codes, b: Codes) -> float:
    """Adjusted Rand index of two labellings of the same users, noise as one more group."""
    return adjusted_rand(contingency(with_noise(a), with_noise(b)))


def adjusted_rand(table: np.ndarray) -> float:
    """Adjusted Rand index of a contingency table, in [−1, 1].

    1 where both sides are the same trivial partition, 0 where they share no user (all noise on one side).
    """
    n = table.sum()
    if n == 0:
        return 0.0
    together, first, second = (_pairs(part) for part in (table, table.sum(axis=1), table.sum(axis=0)))
    expected = first * second / max(_pairs(np.array([n])), 1.0)
    largest = (first + second) / 2
    return 1.0 if largest == expected else float((together - expected) / (largest - expected))


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """Stability over `config.refits` refits; missing where the candidate cannot be refitted or has one segment."""
    codes = encode(context.labels, len(context.X))
    rest: dict[str, Any] = {
        "n": len(context.X),
        "space": context.space,
        "seed": context.seed,
        "noise_share": codes.noise_share,
    }
    if context.refit is None or config.refits == 0:
        return Metric.of("stability", np.nan, reason="no refits were asked for", **rest)
    if codes.k < 2:
        return Metric.of("stability", np.nan, reason=f"needs two segments, has {codes.k}", **rest)
    found = stability(context.labels, context.refit, config.refits, np.random.default_rng(context.seed))
    details = {
        "refits": config.refits,
        "each": found.rand.tolist(),
        "worst_refit": float(found.rand.min()),
        "least_jaccard": float(found.jaccard.min()),
        "mean_noise": float(found.noise.mean()),
        "segments": {str(name): float(value) for name, value in zip(codes.names, found.jaccard, strict=True)},
    }
    return Metric.of("stability", found.mean, interval=found.interval, details=details, **rest)


def _pairs(counts: np.ndarray) -> float:
    """Pairs within groups of the given sizes."""
    return float((counts * (counts - 1)).sum() / 2)
