"""How far a segment stands out: shares by their ratio, means by their standardised difference, both with intervals.

Many keys are compared at once, so an interval holds for all of a segment's keys of one kind together (Bonferroni):
with m keys its z is the normal quantile of 1 − 0.025 / m. What stands out is ranked by Cohen's effect size (h for
shares, d for means; Cohen 1988) at the interval's end nearer to nothing, so that neither rare keys nor small segments
win by luck. A share of users must pass Fisher's exact test at that level too: the interval is too sure of a handful.
"""

from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

MIN_USERS = 5
"""Users behind a claim, at least."""


class Lift(NamedTuple):
    """A share or mean in a segment against all siblings together; `low` and `effect` as in schemas.reports.Claim."""

    key: str
    inside: float
    elsewhere: float
    lift: float
    low: float
    effect: float


def quantile(comparisons: int) -> float:
    """z of a two-sided 95 % interval that holds for so many comparisons together."""
    return NormalDist().inv_cdf(1 - 0.025 / max(comparisons, 1))


def effect(share: float, other: float) -> float:
    """Cohen's h of two shares: 2·asin √share − 2·asin √other."""
    ends = np.sqrt(np.clip([share, other], 0.0, 1.0))
    return float(2 * (np.arcsin(ends[0]) - np.arcsin(ends[1])))


def shares(table: Mapping[str, np.ndarray], label: int) -> list[Lift]:
    """Keys that a larger share of the segment's users has than of the others' users, most telling first.

    With x of n and y of m users, each with 0.5 added, the interval is exp(log ratio ± z·√(1/x − 1/n + 1/y − 1/m))
    (Katz et al. 1978).

    Args:
        table: Key -> (2, k): users who have it, users of whom that is known.
        label: Which segment.
    """
    keys = {key: counts for key, counts in table.items() if counts[0].sum() >= MIN_USERS}
    found = []
    for key, counts in keys.items():
        (x, n), (y, m) = counts[:, label], counts.sum(axis=1) - counts[:, label]
        if min(x, m) >= MIN_USERS:
            lift = _lift(key, (x, n, _relative(x, n)), (y, m, _relative(y, m)), len(keys))
            if lift.low > 1 and _chance(x, n, y, m) <= 0.025 / len(keys):
                found.append(lift)
    return _telling(found)


def _chance(x: float, n: float, y: float, m: float) -> float:
    """Probability of at least x of the x + y users among n, where all n + m are as likely (Fisher's exact test)."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(x - 1, n + m, x + y, n))


def event_shares(table: Mapping[str, np.ndarray], events: np.ndarray, label: int) -> list[Lift]:
    """Keys with a larger share of the segment's events than of the others' events, most telling first.

    A user's events are alike, so users are what is sampled: the variance of the share p = Σx / Σn is
    Σ(x − p·n)² / (Σn)² · u / (u − 1) over u users (Cochran 1977, 6.3), and never below that of independent events.

    Args:
        table: Key -> (4, k): users, Σx, Σx², Σx·n.
        events: (3, k): users, Σn, Σn².
        label: Which segment.
    """
    keys = {key: sums for key, sums in table.items() if sums[0].sum() >= MIN_USERS}
    mine, theirs = events[:, label], events.sum(axis=1) - events[:, label]
    if min(mine[0], theirs[0]) < MIN_USERS:
        return []
    found = []
    for key, sums in ((key, sums) for key, sums in keys.items() if sums[0, label] >= MIN_USERS):
        own, other = sums[:, label], sums.sum(axis=1) - sums[:, label]
        sides = [(side[1], total[1], _clustered(side, total)) for side, total in ((own, mine), (other, theirs))]
        found.append(_lift(key, sides[0], sides[1], len(keys)))
    return _telling(found)


def _relative(x: float, n: float) -> float:
    """Variance of a share over its square, for x of n that are independent; 0.5 is added to both ends."""
    return float(max(1 / (x + 0.5) - 1 / (n + 1), 0.0))


def _clustered(sums: np.ndarray, total: np.ndarray) -> float:
    _, x, squares, products = sums
    users, n, n_squares = total
    independent = _relative(x, n)
    if x <= 0 or users < 2:
        return independent
    p = x / n
    variance = max(squares - 2 * p * products + p**2 * n_squares, 0.0) / n**2 * users / (users - 1)
    return max(float(variance / p**2), independent)


def _lift(key: str, own: tuple[float, float, float], other: tuple[float, float, float], comparisons: int) -> Lift:
    """From x, n and the relative variance on either side."""
    (x, n, error), (y, m, other_error) = own, other
    share, rest = (x + 0.5) / (n + 1), (y + 0.5) / (m + 1)
    ratio = share / rest
    low = float(np.exp(np.log(ratio) - quantile(comparisons) * np.sqrt(error + other_error)))
    told = float(x / n / (y / m)) if y > 0 else float(ratio)
    return Lift(key, float(x / n), float(y / m) if m else 0.0, told, low, effect(low * rest, rest))


def differences(features: Mapping[str, np.ndarray], label: int) -> list[Lift]:
    """Features whose mean differs from the others' mean, most telling first; `lift` and `low` carry the sign.

    Cohen's d = (mean − theirs) / pooled deviation, its variance (n + m)/(n·m) + d²/(2(n + m)) (Hedges & Olkin 1985).

    Args:
        features: Name -> (3, k): known values, their sum, their sum of squares.
        label: Which segment.
    """
    found = []
    for key, table in features.items():
        n, total, squares = table[:, label]
        m, rest, rest_squares = table.sum(axis=1) - table[:, label]
        if min(n, m) < MIN_USERS:
            continue
        spread = max((squares - total**2 / n) + (rest_squares - rest**2 / m), 0.0)
        deviation = np.sqrt(spread / max(n + m - 2, 1))
        if deviation <= 1e-9 * (1 + abs(rest / m)):
            continue
        d = float((total / n - rest / m) / deviation)
        error = np.sqrt((n + m) / (n * m) + d**2 / (2 * (n + m)))
        sure = abs(d) - quantile(len(features)) * float(error)
        found.append(Lift(key, float(total / n), float(rest / m), d, float(np.copysign(sure, d)), sure))
    return _telling(found)


def _telling(found: list[Lift]) -> list[Lift]:
    return sorted((lift for lift in found if lift.effect > 1e-12), key=lambda lift: (-lift.effect, lift.key))
