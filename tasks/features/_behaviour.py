"""Kernels of the behaviour family: a timeline of m > 0 users in, named (m,) arrays out, NaN where unknown."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.tables import ITEM_ID
from tasks.features._timeline import Timeline, codes, sort_runs
from tasks.numerics.history import MICROSECONDS_PER_DAY as DAY
from tasks.numerics.keys import locate

if TYPE_CHECKING:
    import polars as pl

Columns = dict[str, np.ndarray]
MINUTE = 60_000_000
PERIODS = {"hour": 1440, "weekday": 7}
"""Turns of the rhythm, and the positions of each: minutes of a day, days of a week."""
_FRACTION = 2.0**32
_ALWAYS = (
    "recency_days",
    "tenure_days",
    "events",
    "events_per_day",
    "active_days",
    "active_day_share",
    "trend",
    "activity_tier",
    "gap_mean_days",
    "gap_median_days",
    "gap_regularity",
    "sessions",
    "session_minutes_mean",
    "session_depth_mean",
    "session_depth_max",
    "hour_sin",
    "hour_cos",
    "hour_concentration",
    "weekday_sin",
    "weekday_cos",
    "weekday_concentration",
    "distinct_items",
    "repeat_share",
    "item_entropy",
    "top_item_share",
)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """`above` / `below`, NaN where `below` is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below != 0, above / below, np.nan)


def recency_frequency(line: Timeline, now: np.ndarray, offset: int) -> Columns:
    """Recency, tenure, frequency, active days and trend; each user's `now` (m,) and `offset` in microseconds."""
    first, last = line.stamps[line.starts], line.stamps[line.ends - 1]
    tenure = (now - first) / DAY
    days = (line.stamps + offset) // DAY
    fresh = np.append(True, days[1:] != days[:-1])
    fresh[line.starts] = True
    active = line.total(fresh)
    recent = line.total(2 * (line.stamps - first[line.owner]) > (now - first)[line.owner])
    return {
        "recency_days": (now - last) / DAY,
        "tenure_days": tenure,
        "events": line.counts,
        "events_per_day": line.counts / np.maximum(tenure, 1.0),
        "active_days": active,
        "active_day_share": active / ((now + offset) // DAY - days[line.starts] + 1),
        "trend": np.where(tenure > 0, (2 * recent - line.counts) / line.counts, np.nan),
    }


def gaps(line: Timeline) -> np.ndarray:
    """(n,) int64 microseconds since the user's previous event; 0 at the first."""
    gap = np.diff(line.stamps, prepend=line.stamps[:1])
    gap[line.starts] = 0
    return gap


def gap_features(line: Timeline, gap: np.ndarray) -> Columns:
    """Mean, median and regularity of the gaps between a user's events."""
    n = line.counts - 1
    mean = ratio(line.total(gap) / DAY, n)
    off = gap / DAY - mean[line.owner]
    off[line.starts] = 0.0
    deviation = np.sqrt(ratio(line.total(off * off), n))
    # The first row's gap of 0 sorts to the front of its run, so the k-th true gap stands at start + 1 + k.
    ordered = sort_runs(gap, line.owner)
    low, high = line.starts + 1 + (n - 1) // 2, line.starts + 1 + n // 2
    middle = (ordered[np.where(n, low, 0)] + ordered[np.where(n, high, 0)]) / (2.0 * DAY)
    regular = np.where((n >= 2) & (mean > 0), 1.0 / (1.0 + ratio(deviation, mean)), np.nan)
    return {"gap_mean_days": mean, "gap_median_days": np.where(n, middle, np.nan), "gap_regularity": regular}


def session_features(line: Timeline, gap: np.ndarray, threshold: int) -> Columns:
    """Sessions: runs of a user's events whose gaps are at most `threshold` microseconds."""
    opens = gap > threshold
    inside = line.total(np.where(opens, 0, gap))
    opens[line.starts] = True
    number = line.total(opens)
    first = np.flatnonzero(opens)
    depth = np.diff(np.append(first, len(gap)))
    deepest = np.maximum.reduceat(depth, np.cumsum(number) - number)
    return {
        "sessions": number,
        "session_minutes_mean": inside / MINUTE / number,
        "session_depth_mean": line.counts / number,
        "session_depth_max": deepest,
    }


def rhythm(line: Timeline, offset: int, common: np.ndarray | None, prior: float) -> Columns:
    """Hour of day and weekday on the circle: mean sine and cosine, and length of the mean vector.

    Args:
        line: m users.
        offset: Local time minus UTC, microseconds.
        common: (2, 2) sine and cosine of everybody's events by hour and by weekday, see `common_rhythm`; None: each
            user's own count alone.
        prior: Events beyond the first at which own and common weigh the same.
    """
    made: Columns = {}
    for place, (name, position) in enumerate(turns(line, offset).items()):
        both = [line.total(wave[position]) / line.counts for wave in _waves(PERIODS[name])]
        if common is not None and prior:
            share = (line.counts - 1) / (line.counts - 1 + prior)
            both = [mean + share * (own - mean) for own, mean in zip(both, common[place], strict=True)]
        made |= {f"{name}_sin": both[0], f"{name}_cos": both[1], f"{name}_concentration": np.hypot(*both)}
    return made


def turns(line: Timeline, offset: int) -> dict[str, np.ndarray]:
    """(n,) minute of the day and weekday from Monday = 0 of each event, in local time."""
    minutes = (line.stamps + offset) // MINUTE
    day = minutes // 1440
    return {"hour": minutes - day * 1440, "weekday": (day + 3) % 7}


def turn_counts(line: Timeline, offset: int) -> dict[str, np.ndarray]:
    """Events of all users at each minute of the day and at each weekday: (1440,) and (7,) int64."""
    found = turns(line, offset).items()
    return {name: np.bincount(position, minlength=PERIODS[name]) for name, position in found}


def common_rhythm(counts: Mapping[str, np.ndarray]) -> np.ndarray:
    """(2, 2) mean sine and cosine of everybody's events, by hour and by weekday; 0 without events."""
    found = ((counts[name], period) for name, period in PERIODS.items())
    whole = [[wave @ own / max(own.sum(), 1) for wave in _waves(period)] for own, period in found]
    return np.array(whole, np.float64)


def _waves(period: int) -> tuple[np.ndarray, np.ndarray]:
    angle = 2.0 * np.pi * np.arange(period) / period
    return np.sin(angle), np.cos(angle)


def kind_counts(line: Timeline, code: np.ndarray, names: "pl.Series") -> Columns:
    """(m,) events of each user per event name."""
    flat = np.bincount(line.owner * len(names) + code, minlength=len(line.starts) * len(names))
    return dict(zip(names, flat.reshape(len(line.starts), len(names)).T, strict=True))


def mix(counts: Mapping[str, np.ndarray], n: np.ndarray, kinds: Sequence[str], steps: Sequence[str]) -> Columns:
    """Share of each event name, and how many events of a later step of the funnel come per event of an earlier one."""
    none = np.zeros(len(n), np.int64)
    pairs = list(pairwise(steps)) + ([(steps[0], steps[-1])] if len(steps) > 2 else [])
    shares = {f"share_{kind}": counts.get(kind, none) / n for kind in kinds}
    return shares | {f"funnel_{a}_to_{b}": ratio(counts.get(b, none), counts.get(a, none)) for a, b in pairs}


def diversity(line: Timeline, code: np.ndarray) -> Columns:
    """Distinct items, repeats, entropy over items and share of the top item."""
    owner, _, times = line.pairs(code)
    distinct = np.bincount(owner, minlength=len(line.starts))
    runs = np.cumsum(distinct) - distinct
    # c ln c in steps of 2^-32: integers add up the same in any order, and the codes' order differs between buckets.
    count = np.arange(int(times.max(initial=0)) + 1, dtype=np.float64)
    steps = np.rint(count * np.log(np.maximum(count, 1.0)) * _FRACTION).astype(np.int64)
    spread = np.add.reduceat(steps[times], runs) / _FRACTION
    return {
        "distinct_items": distinct,
        "repeat_share": 1.0 - distinct / line.counts,
        "item_entropy": np.maximum(np.log(line.counts) - spread / line.counts, 0.0),
        "top_item_share": np.maximum.reduceat(times, runs) / line.counts,
    }


def money(line: Timeline, rated: np.ndarray) -> Columns:
    """Sum and mean of the values of events that are not ratings."""
    paid = ~rated & ~np.isnan(line.values)
    n = line.total(paid)
    total = line.total(np.where(paid, line.values, 0.0))
    return {"value_sum": np.where(n, total, np.nan), "value_mean": ratio(total, n)}


def ratings(
    line: Timeline, rated: np.ndarray, code: np.ndarray, names: "pl.Series", items: "pl.Series", item_mean: np.ndarray
) -> Columns:
    """Level, spread and strictness; `item_mean` (k,) belongs to `items`, the fitted ones."""
    here = rated & ~np.isnan(line.values)
    n = line.total(here)
    mean = ratio(line.total(np.where(here, line.values, 0.0)), n)
    off = np.where(here, line.values - mean[line.owner], 0.0)
    expected = np.append(item_mean, np.nan)[locate(items, names)][code]
    known = here & ~np.isnan(expected)
    below = line.total(np.where(known, expected - line.values, 0.0))
    return {
        "rating_mean": mean,
        "rating_std": np.sqrt(ratio(line.total(off * off), n)),
        "rating_strictness": ratio(below, line.total(known)),
    }


def item_sums(line: Timeline, rated: np.ndarray) -> "pl.DataFrame":
    """Sum and number of rating values per item, in whole numbers (`whole`, and `part` in 2^-32) so adding is exact.

    Values beyond ±2^40 are clipped: 8 million of the largest still fit an int64.
    """
    import polars as pl

    here = np.flatnonzero(rated & ~np.isnan(line.values))
    code, names = codes(line.frame.get_column(ITEM_ID).gather(here))
    values = np.clip(line.values[here], -(2.0**40), 2.0**40)
    whole, sums = np.floor(values), np.zeros((2, len(names)), np.int64)
    np.add.at(sums[0], code, whole.astype(np.int64))
    np.add.at(sums[1], code, ((values - whole) * _FRACTION).astype(np.int64))
    n = np.bincount(code, minlength=len(names))
    return pl.DataFrame({ITEM_ID: names, "whole": sums[0], "part": sums[1], "n": n})


def names(facts: Mapping[str, Any]) -> list[str]:
    """Every column of the family, in order, on data with these `kinds`, `steps`, `money` and `ratings`."""
    valued = ["value_sum", "value_mean"] if facts["money"] else []
    rated = ["rating_mean", "rating_std", "rating_strictness"] if facts["ratings"] else []
    return [*_ALWAYS, *mix({}, np.ones(0), facts["kinds"], facts["steps"]), *valued, *rated]


def quantiles(frequencies: Mapping[int, int], shares: Sequence[float]) -> list[int]:
    """Per share, the smallest number of events that at least that share of the users does not exceed."""
    sizes = np.array(sorted(frequencies), np.int64)
    if not len(sizes):
        return [0 for _ in shares]
    below = np.cumsum([frequencies[size] for size in sizes.tolist()])
    return sorted(int(sizes[np.searchsorted(below, share * below[-1] - 1e-9)]) for share in shares)
