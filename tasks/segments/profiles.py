"""What a segment is: every claim is a measured lift against the sibling segments.

Counts are sums over buckets, so that a profile costs one pass. A category's or item's share in a segment is held
against its share in all other segments; the lower end of the log-ratio's 95 % interval (Katz et al. 1978) ranks it, so
that small counts don't win.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from schemas.reports import SegmentProfile
from schemas.tables import CATEGORIES, EVENTS, ITEM_ID, ITEMS, USER_ID, Bucket

if TYPE_CHECKING:
    import polars as pl

LABEL = "label"
_MIN_SUPPORT = 5  # users or events behind a claim, at least
_Z = 1.959964


@dataclass(frozen=True)
class Counts:
    """Sufficient statistics of some buckets.

    Attributes:
        users: (k,) users per label.
        items: Item -> (k,) users of the label who touched it.
        categories: Category -> (k,) events of the label on items of it.
        events: (k,) events of the label on items with a category.
        features: `family.column` -> (3, k): known values, their sum and their sum of squares.
    """

    users: np.ndarray
    items: dict[str, np.ndarray] = field(default_factory=dict)
    categories: dict[str, np.ndarray] = field(default_factory=dict)
    events: np.ndarray = field(default_factory=lambda: np.zeros(0))
    features: dict[str, np.ndarray] = field(default_factory=dict)


def partial(bucket: Bucket, assigned: "pl.DataFrame", features: "Mapping[str, pl.DataFrame]", k: int) -> Counts:
    """Counts of one bucket.

    Args:
        bucket: Input tables.
        assigned: user_id and `label`, −1 for users without a segment, who are left out.
        features: Family -> frame of user_id and columns.
        k: Number of segments.
    """
    import polars as pl

    own = assigned.filter(pl.col(LABEL) >= 0)
    users = np.bincount(own[LABEL].to_numpy(), minlength=k)
    numbers = _features(own, features, k)
    if EVENTS.name not in bucket:
        return Counts(users, events=np.zeros(k), features=numbers)
    events = bucket[EVENTS.name].select(USER_ID, ITEM_ID).join(own, on=USER_ID)
    items = _table(events.unique(), ITEM_ID, k)
    if ITEMS.name not in bucket or CATEGORIES not in bucket[ITEMS.name].columns:
        return Counts(users, items, events=np.zeros(k), features=numbers)
    known = bucket[ITEMS.name].select(ITEM_ID, CATEGORIES).filter(pl.col(CATEGORIES).list.len() > 0)
    placed = events.join(known, on=ITEM_ID)
    per_label = np.bincount(placed[LABEL].to_numpy(), minlength=k).astype(np.float64)
    return Counts(users, items, _table(placed.explode(CATEGORIES), CATEGORIES, k), per_label, numbers)


def _table(rows: "pl.DataFrame", key: str, k: int) -> dict[str, np.ndarray]:
    """Key -> (k,) rows of each label."""
    out: dict[str, np.ndarray] = {}
    for name, label, count in rows.group_by(key, LABEL).len().sort(key, LABEL).iter_rows():
        out.setdefault(name, np.zeros(k))[label] = count
    return out


def _features(own: "pl.DataFrame", features: "Mapping[str, pl.DataFrame]", k: int) -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {}
    for family, frame in features.items():
        joined = own.join(frame, on=USER_ID, how="left", maintain_order="left")
        labels = joined[LABEL].to_numpy()
        for column in frame.columns[1:]:
            values = joined[column].cast(float).fill_null(float("nan")).to_numpy()
            known = np.isfinite(values)
            weights = (known.astype(float), np.where(known, values, 0.0), np.where(known, values, 0.0) ** 2)
            out[f"{family}.{column}"] = np.stack([np.bincount(labels, w, minlength=k) for w in weights])
    return out


def merge(a: Counts, b: Counts) -> Counts:
    """Counts of both."""

    def joined(x: dict[str, np.ndarray], y: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {key: x.get(key, 0) + y.get(key, 0) for key in x.keys() | y.keys()}  # type: ignore[misc]

    return Counts(
        a.users + b.users, joined(a.items, b.items), joined(a.categories, b.categories), a.events + b.events,
        joined(a.features, b.features),
    )  # fmt: skip


@dataclass(frozen=True)
class Lift:
    """A share in a segment against the siblings': `low` is the lower end of the ratio's 95 % interval."""

    key: str
    share: float
    siblings: float
    low: float

    @property
    def ratio(self) -> float:
        """Share over the siblings' share."""
        return self.share / self.siblings if self.siblings else float("inf")


def lifts(table: Mapping[str, np.ndarray], totals: np.ndarray, label: int) -> list[Lift]:
    """All keys that stand out in a segment (lower end above 1), most telling first.

    With x of n in the segment and y of m elsewhere, each with 0.5 added, the interval of the ratio (x/n) / (y/m) is
    exp(log ratio ± z·sqrt(1/x − 1/n + 1/y − 1/m)).

    Args:
        table: Key -> (k,) counts.
        totals: (k,) what the counts are shares of.
        label: Which segment.
    """
    found = []
    n, m = totals[label] + 1.0, totals.sum() - totals[label] + 1.0
    for key, counts in table.items():
        x, y = counts[label] + 0.5, counts.sum() - counts[label] + 0.5
        if counts[label] < _MIN_SUPPORT or n <= 1 or m <= 1:
            continue
        error = np.sqrt(max(1 / x - 1 / n + 1 / y - 1 / m, 0.0))
        low = float(np.exp(np.log((x / n) / (y / m)) - _Z * error))
        if low > 1:
            found.append(Lift(key, counts[label] / totals[label], (y - 0.5) / (m - 1), low))
    return sorted(found, key=lambda lift: (-lift.low, lift.key))


def differences(features: Mapping[str, np.ndarray], label: int) -> dict[str, float]:
    """Cohen's d of each feature against the siblings, largest first: (mean − their mean) / pooled deviation."""
    found = {}
    for name, table in features.items():
        n, total, squares = table[:, label]
        m, rest, rest_squares = table.sum(axis=1) - table[:, label]
        if min(n, m) < _MIN_SUPPORT:
            continue
        spread = (squares - total**2 / n) + (rest_squares - rest**2 / m)
        deviation = np.sqrt(max(spread, 0.0) / max(n + m - 2, 1))
        if deviation > 1e-9:
            found[name] = float((total / n - rest / m) / deviation)
    return dict(sorted(found.items(), key=lambda pair: (-abs(pair[1]), pair[0])))


def profiles(
    counts: Counts,
    titles: Mapping[str, str],
    ids: Sequence[str],
    silhouettes: Mapping[int, float] | None = None,
    most: int = 6,
) -> tuple[SegmentProfile, ...]:
    """Profiles by label; names are still the ids (see names.py).

    Args:
        counts: Over all buckets.
        titles: Item -> title; items without one are shown by id.
        ids: Segment ids by label.
        silhouettes: Label -> mean silhouette.
        most: Categories, items and features shown.
    """
    total = counts.users.sum()
    return tuple(_profile(counts, titles, name, label, total, (silhouettes or {}).get(label), most)
                 for label, name in enumerate(ids))  # fmt: skip


def _profile(
    counts: Counts, titles: Mapping[str, str], name: str, label: int, total: int, silhouette: float | None, most: int
) -> SegmentProfile:
    categories = lifts(counts.categories, counts.events, label)[:most]
    items = lifts(counts.items, counts.users, label)[:most]
    features = dict(list(differences(counts.features, label).items())[:most])
    told = [f"{c.key}: {c.share:.0%} of events against {c.siblings:.0%} elsewhere (×{c.ratio:.2g})" for c in categories]
    told += [
        f"{titles.get(i.key, i.key)}: {i.share:.0%} of users against {i.siblings:.0%} elsewhere (×{i.ratio:.2g})"
        for i in items[:3]
    ]
    told += [f"{f}: {abs(d):.1f} sd {'higher' if d > 0 else 'lower'} than elsewhere" for f, d in features.items()][:3]
    return SegmentProfile(
        segment_id=name, name=name, size=int(counts.users[label]), share=float(counts.users[label] / max(total, 1)),
        evidence=tuple(told), top_categories=tuple(c.key for c in categories),
        top_items=tuple(titles.get(i.key, i.key) for i in items), features=features, silhouette=silhouette,
    )  # fmt: skip
