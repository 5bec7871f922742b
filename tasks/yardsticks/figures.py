"""What lists of recommended items are worth, and how sure that is."""

from collections.abc import Mapping, Sequence

import numpy as np

from schemas.reports import Difference
from schemas.yardsticks import CHAMPION, MEASURES, SEGMENTS, Compared, Way
from tasks.numerics.hits import clean
from tasks.numerics.multiple import benjamini_hochberg, compare, verdict
from tasks.ranking import exposure
from tasks.ranking.accuracy import accuracy
from tasks.yardsticks.split import Split
from tasks.yardsticks.ways import POPULARITIES, Lists

PRECISION = "precision"
Values = Mapping[str, np.ndarray]
"""Measure -> (m,) value of each asked user, the mean over draws; NaN where the user has none."""


def per_user(split: Split, lists: Lists) -> dict[str, np.ndarray]:
    """(m,) of every measure that is a mean over users."""
    wanted = split.wanted
    vectors = split.items.vectors if split.items.vectors is not None else split.items.categories
    found: dict[str, list[np.ndarray]] = {}
    for chosen in lists.chosen:
        one = accuracy(chosen, wanted)
        one["novelty"] = exposure.novelty(chosen, split.train.counts)
        one["longtail"] = exposure.longtail(chosen, split.train.counts)
        one["diversity"] = exposure.diversity(chosen, vectors)
        for measure, values in one.items():
            found.setdefault(measure, []).append(values)
    return {measure: np.mean(values, axis=0) for measure, values in found.items()}


def way(name: str, split: Split, lists: Lists, values: Values, rows: Mapping[int, np.ndarray]) -> Way:
    """All figures of a way, of all users and of those with few events.

    Args:
        name: Of the way.
        split: What was known and what was held out.
        lists: What it recommends.
        values: Of `per_user`.
        rows: Events of a user, at least -> (m,) bool.
    """
    items = split.catalogue
    whole = {
        "coverage": float(np.mean([exposure.coverage(chosen, items) for chosen in lists.chosen])),
        "gini": float(np.mean([_gini(chosen, items) for chosen in lists.chosen])),
    }
    figures = _means(values) | {measure: value for measure, value in whole.items() if np.isfinite(value)}
    bands = {events: _means(values, there) for events, there in rows.items() if there.any()}
    return Way(
        name=name,
        figures={measure: figures[measure] for measure in MEASURES if measure in figures},
        bands={events: told for events, told in bands.items() if told},
        cold_items=_of_cold_items(split, lists),
        seconds=lists.seconds,
    )


def _of_cold_items(split: Split, lists: Lists) -> float | None:
    """Recall of the items that nobody had touched before the cut, over the users who then took one."""
    late = clean(split.wanted.multiply(split.cold))
    if not late.nnz:
        return None
    return float(np.mean([np.nanmean(accuracy(chosen, late)["recall"]) for chosen in lists.chosen]))


def _gini(chosen: np.ndarray, items: int) -> float:
    """Over the items of the data alone: columns that nobody has are none."""
    shown = np.unique(chosen[chosen >= 0], return_inverse=True)[1]
    return exposure.gini(shown, max(items, int(shown.max(initial=-1)) + 1))


def _means(values: Values, there: np.ndarray | None = None) -> dict[str, float]:
    """Means over the users that have a value."""
    found = {}
    for measure, each in values.items():
        each = each if there is None else each[there]
        known = each[~np.isnan(each)]
        if len(known):
            found[measure] = float(known.mean())
    return found


def baseline(values: Mapping[str, Values]) -> str:
    """The strongest way of those that know nothing of the user: the hardest to beat."""
    known = [name for name in POPULARITIES if name in values]
    return max(known, key=lambda name: float(np.nanmean(values[name][PRECISION])))


def ends(
    values: Mapping[str, Values], draws: int, rng: np.random.Generator
) -> dict[str, dict[str, tuple[float, float]]]:
    """Way -> measure -> 95 % interval of the mean over users, of whom all ways share their resamples."""
    known = [(name, measure) for name, own in values.items() for measure, each in own.items() if not _silent(each)]
    found = compare(np.stack([values[name][measure] for name, measure in known], axis=1), draws, rng)
    out: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in values}
    for at, (name, measure) in enumerate(known):
        out[name][measure] = float(found.low[at]), float(found.high[at])
    return out


def _silent(each: np.ndarray) -> bool:
    return bool(np.isnan(each).all())


def against(
    values: Mapping[str, Values],
    base: str,
    groups: Mapping[str, np.ndarray],
    top_n: int,
    draws: int,
    rng: np.random.Generator,
) -> tuple[dict[str, Compared], dict[str, Compared]]:
    """Every way against the baseline, and recommending by segment in each group of users.

    Their p-values allow for all of these comparisons at once.

    Args:
        values: Way -> its values.
        base: The way that the others are compared with.
        groups: Name -> (m,) bool: users among whom recommending by segment is compared by itself.
        top_n: Items in each list.
        draws: Resamples of users.
        rng: Draws them.

    Returns:
        Way -> comparison, and group -> comparison.
    """
    floor, names = values[base][PRECISION], [name for name in values if name != base]
    gaps = np.stack([values[name][PRECISION] - floor for name in names], axis=1)
    found = _differences(gaps, floor, draws, rng)
    ours = gaps[:, [names.index(SEGMENTS)]]
    for there in groups.values():
        found += _differences(ours[there], floor[there], draws, rng)
    told = _judged(found, top_n)
    by_group = dict(zip(groups, told[len(names) :], strict=True))
    return dict(zip(names, told[: len(names)], strict=True)), by_group


def over_champion(values: Mapping[str, Values], draws: int, rng: np.random.Generator) -> Difference | None:
    """Precision by the candidate's segments less that by the champion's; None where there is no champion."""
    if CHAMPION not in values:
        return None
    theirs = values[CHAMPION][PRECISION]
    return _differences((values[SEGMENTS][PRECISION] - theirs)[:, None], theirs, draws, rng)[0][0]


def _differences(
    gaps: np.ndarray, floor: np.ndarray, draws: int, rng: np.random.Generator
) -> list[tuple[Difference, float]]:
    """Of each column of (n, c) gaps its difference and p-value; `floor` (n,) are the baseline's own values."""
    found, base = compare(gaps, draws, rng), float(floor.mean())
    columns = zip(found.value, found.low, found.high, found.n, found.p, strict=True)
    return [
        (Difference(value=float(value), low=float(low), high=float(high), n=int(n), base=base), float(p))
        for value, low, high, n, p in columns
    ]


def _judged(found: Sequence[tuple[Difference, float]], top_n: int) -> list[Compared]:
    adjusted = benjamini_hochberg(np.array([p for _, p in found]))
    return [
        Compared(top_n=top_n, gap=gap, p=p, adjusted=float(q), saying=verdict(gap.low, gap.high, float(q)))
        for (gap, p), q in zip(found, adjusted, strict=True)
    ]
