"""Which new cluster is which old segment, told with its evidence; ids are never reused.

Identity means people: a segment keeps its id where its members stay together. Members are those whom readers were told;
who had no segment before counts for neither side. Of the pairs that meet the rule as many as possible are made
(Hungarian), so that whatever meets it keeps its id; the rest is told as split, merged, born or died.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from schemas import tables
from schemas.config import IdentityConfig
from schemas.errors import DataError
from schemas.reports import Change, Lineage, Metric
from tasks.segments import _distances
from tasks.segments._matching import overlaps, pairs
from tasks.segments._warm import grow, warm_centroids

if TYPE_CHECKING:
    import polars as pl

COSINE_WEIGHT = 0.25  # members decide; centroids settle what members leave open
ALONE_COSINE = 0.9  # asked of centroids where no member is known on both sides
_CERTAIN = 10.0  # more than any score: pairs that meet the rule come before all that do not


@dataclass(frozen=True)
class Clusters:
    """One clustering of users.

    Attributes:
        users: (n,) distinct user ids.
        labels: (n,) labels 0..k-1, −1 for none.
        centroids: (k, d) in the space that both clusterings are compared in; NaN where a cluster has no members there.
    """

    users: "Sequence[str] | pl.Series"
    labels: np.ndarray
    centroids: np.ndarray


@dataclass(frozen=True)
class _Evidence:
    """(k_old, k_new) tables: shared members, their share of the old and of the new, cosine, and who is nearest."""

    forward: np.ndarray
    backward: np.ndarray
    cosine: np.ndarray
    near: np.ndarray
    blind: np.ndarray


def segment_id(number: int) -> str:
    """`s001`, `s002`, …: what a segment is called for ever."""
    return f"s{number:03d}"


def first(k: int, next_number: int = 1) -> Lineage:
    """The lineage of a first model: k segments are born."""
    ids = tuple(segment_id(next_number + label) for label in range(k))
    born = tuple(Change(kind="born", old=(), new=(name,), overlap=None, cosine=None) for name in ids)
    return Lineage(ids=ids, changes=born, next_number=next_number + k, moved_share=None)


def match(old: Clusters, old_ids: Sequence[str], new: Clusters, config: IdentityConfig, next_number: int) -> Lineage:
    """Give each new cluster the id of the old segment that it continues, or a new one.

    Continued: at least `min_overlap` of the old members (of those still known) are in the new cluster and make at least
    that share of its users who had a segment, and the centroids' cosine, measured from the mean of the old segments, is
    at least `min_cosine`, or the two are each other's nearest. Split: two or more new clusters, made mostly of the old
    segment's members, each took `split_share` of them. Merged: two or more old segments gave most of their members to
    one new cluster, each making `split_share` of it. Where nobody of a segment is known any more, and nobody of a
    cluster had a segment, centroids alone decide.

    Args:
        old: The segments as published; centroids in the new space (`warm_centroids`).
        old_ids: (k_old,) ids by old label.
        new: The candidate's clusters; centroids of their members who had a segment, of all where none had.
        config: Thresholds.
        next_number: First number never used in an id.

    Raises:
        DataError: labels, centroids and ids do not fit together.
    """
    _check(old, len(old_ids))
    _check(new, len(new.centroids))
    evidence = _evidence(old, new)
    kept = _continued(evidence, config)
    ids, number = [], next_number
    for label in range(len(new.centroids)):
        ids.append(old_ids[kept[label]] if label in kept else segment_id(number))
        number += label not in kept
    changes = _changes(evidence, kept, tuple(old_ids), tuple(ids), config)
    moved = _moved(old, old_ids, new, ids)
    return Lineage(ids=tuple(ids), changes=changes, next_number=number, moved_share=moved)


def _check(side: Clusters, k: int) -> None:
    if len(side.users) != len(side.labels) or len(side.centroids) != k or side.labels.max(initial=-1) >= k:
        raise DataError(
            f"identity: {len(side.users)} users, {len(side.labels)} labels up to {side.labels.max(initial=-1)}, "
            f"{len(side.centroids)} centroids and {k} ids do not fit together"
        )


def _shared(old: Clusters, new: Clusters) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the users known on both sides, old and new."""
    import polars as pl

    left, right = (
        pl.DataFrame({"u": side.users, name: side.labels.astype(np.int64)}, schema_overrides={"u": pl.String})
        for side, name in ((old, "a"), (new, "b"))
    )
    both = left.join(right, on="u")
    return both["a"].to_numpy(), both["b"].to_numpy()


def _evidence(old: Clusters, new: Clusters) -> _Evidence:
    a, b = _shared(old, new)
    k_old, k_new = len(old.centroids), len(new.centroids)
    counts = overlaps(a, b, k_old, k_new)
    mine = np.bincount(a[a >= 0], minlength=k_old)[:, None]
    theirs = counts.sum(axis=0, keepdims=True)
    forward, backward = counts / np.maximum(mine, 1), counts / np.maximum(theirs, 1)
    middle = np.nanmean(old.centroids, axis=0) if np.isfinite(old.centroids).any() else 0.0
    there = np.isfinite(old.centroids).all(axis=1)[:, None] & np.isfinite(new.centroids).all(axis=1)[None, :]
    left, right = np.nan_to_num(old.centroids - middle), np.nan_to_num(new.centroids - middle)
    cosine = np.where(there, 1.0 - _distances.table(left, right, "cosine"), np.nan)
    distance = np.where(there, _distances.table(left, right, "euclidean"), np.inf)
    near = (distance <= distance.min(axis=0, keepdims=True)) & (distance <= distance.min(axis=1, keepdims=True)) & there
    return _Evidence(forward, backward, cosine, near, (mine == 0) & (theirs == 0))


def _continued(evidence: _Evidence, config: IdentityConfig) -> dict[int, int]:
    """New label -> the old label that it continues."""
    cosine = np.nan_to_num(evidence.cosine, nan=-1.0)
    score = (evidence.forward + evidence.backward) / 2 + COSINE_WEIGHT * np.maximum(cosine, 0.0)
    stayed = (evidence.forward >= config.min_overlap) & (evidence.backward >= config.min_overlap)
    placed = (cosine >= config.min_cosine) | evidence.near
    alone = evidence.blind & evidence.near & (cosine >= max(ALONE_COSINE, config.min_cosine))
    qualifies = stayed & placed | alone
    return {new: old for old, new in pairs(score + _CERTAIN * qualifies) if qualifies[old, new]}


def _changes(
    evidence: _Evidence, kept: dict[int, int], old_ids: tuple[str, ...], ids: tuple[str, ...], config: IdentityConfig
) -> tuple[Change, ...]:
    out = [
        Change(kind="continued", old=(old_ids[old],), new=(ids[new],), **_figures(evidence, [old], [new]))
        for new, old in sorted(kept.items())
    ]
    told_old, told_new = set(kept.values()), set(kept)
    majority = max(0.5, config.min_overlap)
    children = (evidence.forward >= config.split_share) & (evidence.backward >= majority)
    parents = (evidence.backward >= config.split_share) & (evidence.forward >= majority)
    for old in np.flatnonzero(children.sum(axis=1) >= 2).tolist():
        new = np.flatnonzero(children[old]).tolist()
        out.append(
            Change(kind="split", old=(old_ids[old],), new=tuple(ids[n] for n in new), **_figures(evidence, [old], new))
        )
        told_old, told_new = told_old | {old}, told_new | set(new)
    for one in np.flatnonzero(parents.sum(axis=0) >= 2).tolist():
        sources = np.flatnonzero(parents[:, one]).tolist()
        out.append(
            Change(
                kind="merged",
                old=tuple(old_ids[o] for o in sources),
                new=(ids[one],),
                **_figures(evidence, sources, [one]),
            )
        )
        told_old, told_new = told_old | set(sources), told_new | {one}
    out += [_born(evidence, new, ids) for new in range(len(ids)) if new not in told_new]
    out += [_died(evidence, old, old_ids) for old in range(len(old_ids)) if old not in told_old]
    return tuple(out)


def _figures(evidence: _Evidence, old: list[int], new: list[int]) -> dict[str, float | None]:
    """Share of the old members who are in the new (mean over the old segments), and the best cosine of the pairs."""
    cosine = evidence.cosine[np.ix_(old, new)]
    overlap = evidence.forward[np.ix_(old, new)].sum(axis=1).mean()
    seen = np.isfinite(cosine).any()
    return {"overlap": float(overlap), "cosine": float(np.nanmax(cosine)) if seen else None}


def _born(evidence: _Evidence, new: int, ids: tuple[str, ...]) -> Change:
    every = list(range(len(evidence.forward)))
    best = max(every, key=lambda old: evidence.forward[old, new], default=None)
    return Change(kind="born", old=(), new=(ids[new],), **({} if best is None else _figures(evidence, [best], [new])))


def _died(evidence: _Evidence, old: int, old_ids: tuple[str, ...]) -> Change:
    every = list(range(evidence.forward.shape[1]))
    best = max(every, key=lambda new: evidence.forward[old, new], default=None)
    return Change(
        kind="died", old=(old_ids[old],), new=(), **({} if best is None else _figures(evidence, [old], [best]))
    )


def _moved(old: Clusters, old_ids: Sequence[str], new: Clusters, ids: Sequence[str]) -> float | None:
    a, b = _shared(old, new)
    before, after = np.array([*old_ids, ""], object)[a], np.array([*ids, ""], object)[b]
    return churn(before, after).value


def churn(before: np.ndarray, after: np.ndarray) -> Metric:
    """Share of users whose segment id changed, with Wilson's 95 % interval.

    Args:
        before: (n,) segment ids; empty or None where the user had none: such users cannot move.
        after: (n,) ids of the same users now; none counts as another segment.
    """
    before, after = np.asarray(before, object), np.asarray(after, object)
    had = np.array([bool(one) for one in before], bool)
    n = int(had.sum())
    if n == 0:
        return Metric.of("churn", float("nan"), 0, reason="no user had a segment before")
    moved = int((before[had] != after[had]).sum())
    return Metric.of("churn", moved / n, n, interval=_wilson(moved, n))


def _wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson (1927) interval of a share."""
    share, shrink = hits / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / shrink
    half = z * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / shrink
    return max(0.0, middle - half), min(1.0, middle + half)


def transitions(
    old: "pl.DataFrame | None",
    new: "pl.DataFrame",
    as_of: datetime,
    model_version: str,
    *,
    revision: int | None = None,
    complete: bool = True,
) -> "pl.DataFrame":
    """Who changed segment, entered one or left one: schemas.tables.TRANSITIONS, sorted by user.

    Args:
        old: The assignments before; None: there were none, so everyone enters.
        new: The assignments now.
        as_of: The moment of the change.
        model_version: Of the new assignments.
        revision: Of the pointer that the change is published with.
        complete: Whether `new` speaks of all users; if not, users missing in it have not left.
    """
    import polars as pl

    keys = [tables.USER_ID, tables.SEGMENT_ID]
    before = old.select(keys) if old is not None else new.select(keys).clear()
    both = before.rename({tables.SEGMENT_ID: tables.FROM_SEGMENT_ID}).join(
        new.select(keys).rename({tables.SEGMENT_ID: tables.TO_SEGMENT_ID}),
        on=tables.USER_ID,
        how="full" if complete else "right",
        coalesce=True,
    )
    changed = both.filter(pl.col(tables.FROM_SEGMENT_ID).ne_missing(pl.col(tables.TO_SEGMENT_ID)))
    stamped = changed.with_columns(
        pl.lit(model_version).alias(tables.MODEL_VERSION),
        pl.lit(revision).alias(tables.REVISION),
        pl.lit(as_of).dt.cast_time_unit("us").dt.convert_time_zone("UTC").alias(tables.AS_OF),
    )
    schema = tables.TRANSITIONS.polars_schema()
    return stamped.select(pl.col(name).cast(dtype) for name, dtype in schema.items()).sort(tables.USER_ID)


__all__ = ["Clusters", "churn", "first", "grow", "match", "segment_id", "transitions", "warm_centroids"]
