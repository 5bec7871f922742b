"""How far a segment stands out: shares by their ratio, means by their standardised difference, both with intervals.

Many keys of many segments are compared at once, so an interval holds for all of a report's comparisons together
(Bonferroni): with m of them its z is the normal quantile of 1 − 0.025 / m. What stands out is ranked by Cohen's effect
size (h for shares, d for means; Cohen 1988) at the interval's end nearer to nothing, so that neither rare keys nor
small segments win by luck. A share of users must pass Fisher's exact test at that level too, a mean the test of ranks:
the intervals are too sure of a handful of users, and of long tails.
"""

from collections.abc import Mapping
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

MIN_USERS = 5
"""Users behind a claim, at least."""
FARTHEST = 25.0
"""Pooled deviations, at most, of a difference: where a segment has one value and all others another, there is none."""


class Lift(NamedTuple):
    """A share or mean in a segment against all siblings together; `low` and `effect` as in schemas.reports.Claim."""

    key: str
    inside: float
    elsewhere: float
    lift: float
    low: float
    effect: float


def common(table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The keys that enough users have for a claim to be possible; the others need no comparison."""
    return {key: counts for key, counts in table.items() if counts[0].sum() >= MIN_USERS}


@lru_cache
def quantile(comparisons: int) -> float:
    """z of a two-sided 95 % interval that holds for so many comparisons together."""
    return NormalDist().inv_cdf(1 - 0.025 / max(comparisons, 1))


@lru_cache(maxsize=4096)
def student(comparisons: int, freedom: int) -> float:
    """The same where the spread is known from so few users (Student's t)."""
    from scipy.stats import t

    return float(t.ppf(1 - 0.025 / max(comparisons, 1), max(freedom, 1)))


def effect(share: float, other: float) -> float:
    """Cohen's h of two shares: 2·asin √share − 2·asin √other."""
    ends = np.sqrt(np.clip([share, other], 0.0, 1.0))
    return float(2 * (np.arcsin(ends[0]) - np.arcsin(ends[1])))


def shares(
    table: Mapping[str, np.ndarray], label: int, compared: int = 0, counts: np.ndarray | None = None
) -> list[Lift]:
    """Keys that a larger share of the segment's users has than of the others' users, most telling first.

    With x of n and y of m users, each with 0.5 added, the interval is exp(log ratio ± z·√(1/x − 1/n + 1/y − 1/m))
    (Katz et al. 1978).

    Args:
        table: Key -> (2, k): users who have it, users of whom that is known; all of them are compared.
        label: Which segment.
        compared: Comparisons that the intervals hold for together; 0: those made here.
        counts: The values of `table`, (m, 2, k), where they are stacked already.
    """
    if not table:
        return []
    counts, compared = np.stack(list(table.values())) if counts is None else counts, compared or len(table)
    own = counts[:, :, label]
    other = counts.sum(axis=2) - own
    (x, n), (y, m) = np.add(own.T, [[0.5], [1.0]]), np.add(other.T, [[0.5], [1.0]])
    sure = np.log(x * m / (y * n)) > quantile(compared) * np.sqrt(np.maximum(1 / x - 1 / n + 1 / y - 1 / m, 0))
    enough = np.minimum(own[:, 0], other[:, 1]) >= MIN_USERS
    keys, found = list(table), []
    for row in np.flatnonzero(sure & enough).tolist():
        mine, theirs = own[row].tolist(), other[row].tolist()
        if _chance(*mine, *theirs) <= 0.025 / compared:
            found.append(_lift(keys[row], (*mine, _relative(*mine)), (*theirs, _relative(*theirs)), quantile(compared)))
    return _telling(found)


def _chance(x: float, n: float, y: float, m: float) -> float:
    """Probability of at least x of the x + y users among n, where all n + m are as likely (Fisher's exact test)."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(x - 1, n + m, x + y, n))


def event_shares(table: Mapping[str, np.ndarray], placed: np.ndarray, label: int, compared: int = 0) -> list[Lift]:
    """Keys that take a larger share of a user's events in the segment than elsewhere, most telling first.

    The share is the mean over users of each user's own share s, so that one heavy user is one user. The interval is
    exp(log ratio ± t·√(v/p² + w/q²)), with v = (Σs² − (Σs)²/u) / (u·(u − 1)) over u users, w the same elsewhere, and
    Student's t of the smaller side.

    Args:
        table: Key -> (3, k): users who touched it, Σs, Σs²; all of them are compared.
        placed: (k,) users who have such shares.
        label: Which segment.
        compared: Comparisons that the intervals hold for together; 0: those made here.
    """
    n, m = placed[label], placed.sum() - placed[label]
    if min(n, m) < MIN_USERS:
        return []
    found, z = [], student(compared or len(table), int(min(n, m)) - 1)
    for key, sums in table.items():
        if sums[0, label] >= MIN_USERS:
            own, other = sums[:, label], sums.sum(axis=1) - sums[:, label]
            errors = _mean_error(own[1], own[2], n), _mean_error(other[1], other[2], m)
            sides = (own[1], n, errors[0]), (other[1], m, errors[1])
            found.append(_lift(key, *sides, z, smooth=False))
    return _telling(found)


def _relative(x: float, n: float) -> float:
    """Variance of a share over its square, for x of n that are independent; 0.5 is added to both ends."""
    return float(max(1 / (x + 0.5) - 1 / (n + 1), 0.0))


def _mean_error(total: float, squares: float, n: float) -> float:
    """Variance of a mean over its square; where the mean is 0, as if of none of n."""
    if total <= 0:
        return _relative(0.0, n)
    return float(max(squares - total**2 / n, 0.0) / (n * (n - 1)) / (total / n) ** 2)


def _lift(
    key: str,
    own: tuple[float, float, float],
    other: tuple[float, float, float],
    z: float,
    smooth: bool = True,
) -> Lift:
    """From x, n and the relative variance of x / n on either side; 0.5 is added where asked, or where there is none."""
    (x, n, error), (y, m, other_error) = own, other
    add = 0.5 if smooth or y <= 0 else 0.0
    share, rest = (x + add) / (n + 2 * add), (y + add) / (m + 2 * add)
    low = float(np.exp(np.log(share / rest) - z * np.sqrt(error + other_error)))
    told = float(x / n / (y / m)) if y > 0 else float(share / rest)
    return Lift(key, float(x / n), float(y / m) if m else 0.0, told, low, effect(low * rest, rest))


def differences(
    features: Mapping[str, np.ndarray], ranks: Mapping[str, np.ndarray], label: int, compared: int = 0
) -> list[Lift]:
    """Features whose mean differs from the others' mean, most telling first; `lift` and `low` carry the sign.

    Cohen's d = (mean − theirs) / pooled deviation, its variance (n + m)/(n·m) + d²/(2(n + m)) (Hedges & Olkin 1985).
    Amounts and counts have long tails, where a few users make a mean and that interval is too sure: so the ranks have
    to differ too, the same way and at the same level (Mann and Whitney 1947).

    Args:
        features: Name -> (3, k): known values, their sum, their sum of squares.
        ranks: Name -> (b, k) users in each of b bins of rising values.
        label: Which segment.
        compared: Comparisons that the intervals hold for together; 0: those made here.
    """
    found = []
    for key, table in features.items():
        n, total, squares = table[:, label]
        m, rest, rest_squares = table.sum(axis=1) - table[:, label]
        if min(n, m) < MIN_USERS:
            continue
        spread = max((squares - total**2 / n) + (rest_squares - rest**2 / m), 0.0)
        gap = total / n - rest / m
        deviation = max(np.sqrt(spread / max(n + m - 2, 1)), abs(gap) / FARTHEST)
        if deviation <= 1e-9 * (1 + abs(rest / m)):
            continue
        d = float(gap / deviation)
        error = np.sqrt((n + m) / (n * m) + d**2 / (2 * (n + m)))
        z = quantile(compared or len(features))
        sure = abs(d) - z * float(error)
        if rank_sum(ranks[key][:, label], ranks[key].sum(axis=1) - ranks[key][:, label]) * np.sign(d) < z:
            continue
        found.append(Lift(key, float(total / n), float(rest / m), d, float(np.copysign(sure, d)), sure))
    return _telling(found)


def rank_sum(own: np.ndarray, others: np.ndarray) -> float:
    """z of the Mann-Whitney test with ties: above 0 where `own` stands higher.

    Args:
        own: (b,) users in each of b bins of rising values; all of a bin are tied.
        others: (b,) the others.
    """
    tied = own + others
    n, m, total = own.sum(), others.sum(), tied.sum()
    middle = np.cumsum(tied) - tied + (tied + 1) / 2
    spread = n * m / 12 * (total + 1 - ((tied**3 - tied).sum() / (total * (total - 1))))
    return float((own @ middle - n * (total + 1) / 2) / np.sqrt(spread)) if spread > 0 else 0.0


def _telling(found: list[Lift]) -> list[Lift]:
    return sorted((lift for lift in found if lift.effect > 1e-12), key=lambda lift: (-lift.effect, lift.key))
