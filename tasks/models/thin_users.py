"""Measures the ladder for thin users: known users are cut down to a few events, and every rung is asked again."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from schemas.artifacts import State
from schemas.tables import EVENTS, Bucket
from tasks.models import assemble
from tasks.numerics import history
from tasks.segments import bundle
from tasks.segments import ladder as ladders
from tasks.segments.bundle import Bundle
from tasks.segments.ladder import FULL, NEAREST, PRIOR, Ladder
from tasks.segments.segmenter import Segmenter

if TYPE_CHECKING:
    import polars as pl

ATTRIBUTES, TEXT_RUNG, BOTH = "attributes", "texts", "attributes+texts"
Blocks = Mapping[str, np.ndarray]


def ladder_state(
    bundle_: Bundle,
    bucket: Bucket,
    as_of: datetime,
    seed: int,
    *,
    lookup: assemble.Lookup | None = None,
    device: str = "auto",
) -> State:
    """The ladder of a bundle, measured on some users (a few thousand are plenty).

    Args:
        bundle_: Without a ladder, or with one that is not looked at.
        bucket: Their whole histories.
        as_of: Nothing later is looked at.
        seed: Seed of the folds.
        lookup: Vectors of texts; none: the bundle's encoder.
        device: Device of that encoder.
    """
    plain = replace(assemble.segmenter(bundle_, lookup=lookup, device=device), ladder=None)
    return measure(plain, bucket, as_of, seed).to_state()


def measure(segmenter: Segmenter, bucket: Bucket, as_of: datetime, seed: int) -> Ladder:
    """The ladder of a segmenter; classifiers are measured on users that they were not fitted on."""
    users, whole = segmenter.features(bucket, as_of)
    truth = segmenter.assign_vectors(segmenter.represent(whole, len(users))).labels
    k, config = len(segmenter.ids), segmenter.config
    views = {
        left: _expanded(segmenter, history.cut(bucket, history.first(left), as_of), users, as_of)
        for left in config.ladder_events
    }
    rungs: dict[str, Callable[[int], np.ndarray]] = {
        FULL: partial(_by_vectors, segmenter, views, "labels"),
        NEAREST: partial(_by_vectors, segmenter, views, "nearest"),
    }
    everyone, reads = [view for view, _ in views.values()], _reads(segmenter)
    for name, blocks in reads.items():
        named = ladders.held_out(everyone, blocks, truth, k, config.folds, np.random.default_rng(seed))
        rungs[name] = dict(zip(views, named, strict=True)).__getitem__
    prior = np.bincount(truth[truth >= 0], minlength=k) / max(1, int((truth >= 0).sum()))
    rungs[PRIOR] = lambda left: np.full(len(users), int(prior.argmax()))
    accuracy = ladders.measure_ladder(truth, rungs, config.ladder_events)
    fitted = {name: ladders.from_views(everyone, blocks, truth, k) for name, blocks in reads.items()}
    return Ladder(config.ladder_events, tuple(rungs), accuracy, prior, fitted, int((truth >= 0).sum()))


def _reads(segmenter: Segmenter) -> dict[str, tuple[str, ...]]:
    """Which blocks each rung between the fullest and the prior reads: those that need no events."""
    told = [b for b in segmenter.blocks if b.width]  # of attributes that are all left out nothing can be read
    still = tuple(b.name for b in told if b.name != bundle.TEXT_BLOCK and EVENTS.name not in b.requires)
    texts = tuple(b.name for b in told if b.name == bundle.TEXT_BLOCK)
    if not texts:
        return {ATTRIBUTES: still} if still else {}
    return {BOTH: still + texts, ATTRIBUTES: still} if still else {TEXT_RUNG: texts}


def _by_vectors(
    segmenter: Segmenter, views: Mapping[int, tuple[Blocks, np.ndarray]], what: str, left: int
) -> np.ndarray:
    """What the vectors say of users cut down to `left` events; −1 for users of whom nothing is left.

    `what` is a part of the decision: labels within their floors, or the nearest ones.
    """
    blocks, there = views[left]
    decision = segmenter.assign_vectors(segmenter.represent(blocks, len(there)))
    return np.where(there, getattr(decision, what), -1)


def _expanded(
    segmenter: Segmenter, bucket: Bucket, users: "pl.Series", as_of: datetime
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Blocks of all `users`, NaN for those of whom the cut left nothing, and who is still there."""
    left, blocks = segmenter.features(bucket, as_of)
    there = users.is_in(left.implode()).to_numpy()
    out = {}
    for name, values in blocks.items():
        out[name] = np.full((len(users), values.shape[1]), np.nan, np.float32)
        out[name][there] = values
    return out, there
