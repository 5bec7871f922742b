"""Two ways of doing measured on the same users: their difference, with an interval from paired resamples.

Both sides are drawn together, so that what makes a user easy or hard cancels out (Efron and Tibshirani 1993, ch. 8).
Where a side was fitted under several seeds, each resample draws one of them: the interval then tells apart what neither
other users nor another seed would.
"""

from collections.abc import Iterator

import numpy as np

from schemas.reports import Difference

LEVEL = 0.95


def resamples(n: int, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """`draws` times (n,) float64: how often each of n users stands in a resample of n."""
    for _ in range(draws):
        yield np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)


def difference(
    ours: np.ndarray, theirs: np.ndarray, draws: int, rng: np.random.Generator, level: float = LEVEL
) -> Difference | None:
    """Mean of ours minus mean of theirs, over users and seeds; None where there are no users.

    Args:
        ours: (n,) values of n users, or (seeds, n).
        theirs: The same of the other side, for the same users in the same order; it may have other seeds.
        draws: Resamples of users.
        rng: Draws users and seeds.
        level: Share of the resamples that the interval holds.
    """
    ours, theirs = np.atleast_2d(ours), np.atleast_2d(theirs)
    n = ours.shape[1]
    if n == 0:
        return None
    found = [
        weights @ (ours[rng.integers(len(ours))] - theirs[rng.integers(len(theirs))]) / n
        for weights in resamples(n, draws, rng)
    ]
    tail = (1 - level) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Difference(
        value=float(ours.mean() - theirs.mean()), low=float(low), high=float(high), n=n, base=float(theirs.mean())
    )


def of_repeats(ours: np.ndarray, theirs: np.ndarray, paired: bool, level: float = LEVEL) -> Difference:
    """The same of figures that a fit gives as a whole, once for each repeat (refit, or seed), by Student's t.

    Args:
        ours: (r,) figures of our repeats.
        theirs: (s,) figures of the other side's.
        paired: Whether the repeats stand in pairs, such as refits on the same resample; then r = s.
        level: Of the interval. With one repeat on either side nothing is known of their spread: the value alone counts.
    """
    from scipy.stats import t

    value = float(ours.mean() - theirs.mean())
    if paired:
        gap = ours - theirs
        freedom, error = len(gap) - 1, gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else 0.0
    else:
        spreads = [side.var(ddof=1) if len(side) > 1 else 0.0 for side in (ours, theirs)]
        freedom, error = max(len(ours), len(theirs)) - 1, np.sqrt(spreads[0] + spreads[1])
    half = float(t.ppf((1 + level) / 2, freedom) * error) if freedom > 0 else 0.0
    return Difference(value=value, low=value - half, high=value + half, n=len(ours), base=float(theirs.mean()))
