"""Many comparisons on the same users: intervals, p-values that allow for how many they are, and a verdict of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from schemas.yardsticks import Saying
from tasks.numerics.paired import LEVEL, resamples

_CHUNK_VALUES = 8_000_000  # weights of resamples held at once (64 MB)


@dataclass(frozen=True)
class Compared:
    """Paired differences of c comparisons, (c,) each.

    Attributes:
        value: Mean difference over users.
        low: Lower end of its interval.
        high: Upper end.
        p: Two-sided p-value of no difference.
        n: Users that have a figure on both sides.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    n: np.ndarray


def compare(gaps: np.ndarray, draws: int, rng: np.random.Generator, level: float = LEVEL) -> Compared:
    """Means of paired differences with bootstrap intervals and p-values; all columns share their resamples of users.

    A p-value is twice the smaller share of resamples at or beyond zero, both counts plus one, so that it is never 0
    (Davison and Hinkley 1997, ch. 4); it is at least 2 / (draws + 1), so after Benjamini-Hochberg one real difference
    among c is only seen with draws > 2c / (1 − level). Nor is it below 2 / 2^(users who differ), all that signs could
    tell: few users who agree are no evidence.

    Args:
        gaps: (m, c) ours minus theirs, one column for each comparison; NaN where a user has no figure.
        draws: Resamples of users.
        rng: Draws them.
        level: Share of the resamples that an interval holds.

    Returns:
        One value for each column; NaN, and p = 1, where no user has a figure.
    """
    there = ~np.isnan(gaps)
    n, filled = there.sum(axis=0), np.where(there, gaps, 0.0)
    found = np.concatenate([np.zeros((0, len(n))), *_means(filled, there, draws, rng)])
    tail = (1 - level) / 2
    low, high = np.where(n > 0, np.quantile(found, [tail, 1 - tail], axis=0), np.nan)
    beyond = 1 + np.minimum((found <= 0).sum(axis=0), (found >= 0).sum(axis=0))
    signs = 2.0 ** (1 - np.count_nonzero(filled, axis=0).astype(np.float64))
    p = np.minimum(1.0, np.maximum(2 * beyond / (draws + 1), signs))
    value = np.divide(filled.sum(axis=0), n, out=np.full(len(n), np.nan), where=n > 0)
    return Compared(value, low, high, p, n)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """p-values adjusted for the false discovery rate (Benjamini and Hochberg 1995), in the shape they came.

    The i-th smallest of c becomes the least of c · p_(j) / j over j ≥ i. Small ones are discoveries of which at most
    that share is false, for comparisons that are independent or lean the same way.
    """
    flat = np.ravel(p)
    order = np.argsort(flat, kind="stable")[::-1]
    ranks = np.arange(len(flat), 0, -1)
    adjusted = np.empty(len(flat))
    adjusted[order] = np.minimum.accumulate(np.minimum(flat[order] * len(flat) / ranks, 1.0))
    return adjusted.reshape(np.shape(p))


def verdict(low: float, high: float, adjusted: float, level: float = LEVEL) -> Saying:
    """What a difference and its evidence say: the interval and the adjusted p-value must both leave zero out.

    Args:
        low: Lower end of the paired interval.
        high: Upper end.
        adjusted: p-value after `benjamini_hochberg` over all that is compared.
        level: Of the interval; 1 − level is the false discovery rate.
    """
    if adjusted <= 1 - level and low > 0:
        return "helps"
    if adjusted <= 1 - level and high < 0:
        return "hurts"
    return "no evidence"


def _means(filled: np.ndarray, there: np.ndarray, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """(part, c) means of resamples, until there are `draws`; one in which nobody has a figure shows no difference."""
    drawn = resamples(len(filled), draws, rng) if len(filled) else iter([np.zeros(0)] * draws)
    step = max(1, _CHUNK_VALUES // max(len(filled), 1))
    while part := list(islice(drawn, step)):
        weights = np.array(part)
        sizes = weights @ there.astype(np.float64)
        yield np.divide(weights @ filled, sizes, out=np.zeros_like(sizes), where=sizes > 0)
