"""Held-out lift: do recommendations from a user's segment hit more of what the user did next than popularity does?

Protocol: an item's score for a segment = its train interactions by the members / members + `prior_weight` × its train
interactions / users; items seen in train are removed, the top 10 remain (equal scores by item number). Precision =
mean hits / 10 over all users; recall = mean over users with test items of hits / own test items; coverage = distinct
recommended / distinct items in the data. Beside it stand global popularity and random segments of the same sizes.
Users without a segment (−1) get global popularity. A baseline that hits nobody counts as if it had hit once, so that a
lift is a number. Of labels under several seeds the means are told; intervals are paired percentile bootstraps over
users and seeds, so that they hold what another seed would have made of the number too.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from schemas.errors import DataError
from schemas.reports import Metric
from tasks.metrics._labels import encode
from tasks.metrics._lift import Interval, by_segment, intervals_of, numbers_of, reachable, recommend
from tasks.numerics.hits import clean

if TYPE_CHECKING:
    import scipy.sparse as sp

    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext, HeldOut


EMPTY = "nobody's history has an event in this slice"
UNREACHABLE = "no held-out item can be hit: the user had it before, or nobody had"


@dataclass(frozen=True)
class HeldOutLift:
    """Lift and what it is made of; lifts are relative (0.4 = +40 %).

    Attributes:
        value: Relative lift of precision over global popularity.
        interval: 95 % bootstrap interval of `value`, None where it is undefined.
        numbers: Precision, recall and coverage, plain and as `global_*`, `random_*` (means over the draws), their
            lifts `lift_recall`, `lift_coverage`, and `random_lift*`: the random segments' lifts over popularity.
        intervals: 95 % bootstrap intervals of some of `numbers`.
        segments: Label -> users, precision, global precision and lift, under the first seed.
        hits: (seeds, n) hits of each user; what two ways of segmenting are compared by, user by user.
        coverage: (seeds,) share of the items that is recommended.
        popular: (n,) hits of global popularity.
        reachable: Held-out items that could be hit: new to the user, and in train for somebody else.
    """

    value: float
    interval: Interval | None
    numbers: dict[str, float]
    intervals: dict[str, Interval]
    segments: dict[str, dict[str, float | None]]
    hits: np.ndarray = field(compare=False)
    coverage: np.ndarray = field(compare=False)
    popular: np.ndarray = field(compare=False)
    reachable: int


class Resampling(NamedTuple):
    """How often chance is drawn.

    Attributes:
        draws: Random segmentations of the same sizes (labels shuffled over users).
        bootstraps: Resamples of users behind the intervals.
    """

    draws: int = 5
    bootstraps: int = 200


def heldout_lift(
    train: "sp.csr_matrix",
    test: "sp.csr_matrix",
    labels: np.ndarray,
    top_n: int = 10,
    prior_weight: float = 0.3,
    resampling: "Resampling | None" = None,
    rng: np.random.Generator | None = None,
) -> HeldOutLift:
    """Measure the protocol above.

    Args:
        train: (n, items) CSR, how often a user interacted with an item in the train slice.
        test: (n, items) CSR, non-zero where the user's test slice holds the item.
        labels: (n,) segments fitted on the train slice, −1 for none; or (seeds, n), a row for each seed of the fit.
        top_n: Items recommended to each user.
        prior_weight: Weight of global popularity in an item's score.
        resampling: How often chance is drawn.
        rng: Draws both; None: seed 0.

    Raises:
        DataError: The shapes don't align.
    """
    rng, (draws, bootstraps) = np.random.default_rng(0) if rng is None else rng, resampling or Resampling()
    if train.shape != test.shape:
        raise DataError(f"held-out lift: train is {train.shape}, test is {test.shape}; they must align")
    train, test = clean(train), clean(test)
    seeds = [encode(one, train.shape[0]) for one in np.atleast_2d(labels)]
    own, first = np.diff(test.indptr), seeds[0]
    segments = [recommend(train, test, one.codes, one.k, top_n, prior_weight) for one in seeds]
    popular = recommend(train, test, np.full(train.shape[0], -1), 0, top_n, prior_weight)
    shuffled = (rng.permutation(first.codes) for _ in range(draws))
    random = [recommend(train, test, drawn, first.k, top_n, prior_weight) for drawn in shuffled]
    items = len(np.union1d(train.indices, test.indices))
    numbers = numbers_of(segments, popular, random, own, items, top_n)
    hits = np.stack([one.hits for one in segments])
    intervals = intervals_of(hits, popular.hits, [one.hits for one in random], own, top_n, bootstraps, rng)
    return HeldOutLift(
        numbers.pop("lift_precision"),
        intervals.pop("lift_precision", None),
        numbers,
        intervals,
        by_segment(first, hits[0], popular.hits, top_n),
        hits=hits,
        popular=popular.hits,
        coverage=np.array([one.recommended for one in segments]) / max(items, 1),
        reachable=reachable(train, test),
    )


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """Held-out lift of the candidate as refitted on the train slice; missing without events or without that refit."""
    n = len(context.X)
    rest: dict[str, Any] = {"space": context.space, "seed": context.seed}
    held, labels = context.heldout, context.heldout_labels
    if not config.lift or held is None or labels is None:
        reason = "no events to hold out" if held is None else "the candidate was not refitted on the train slice"
        reason = reason if config.lift else "evaluate.lift is off: items are not users' choices"
        return Metric.of("heldout_lift", np.nan, n, reason=reason, **rest)
    return told(measured(held, labels, config, context.seed), labels, config, **rest)


def measured(held: "HeldOut", labels: np.ndarray, config: "EvaluateConfig", seed: int) -> HeldOutLift:
    """Held-out lift under the config's protocol; see `heldout_lift`."""
    chance, rng = Resampling(config.random_draws, config.bootstraps), np.random.default_rng(seed)
    return heldout_lift(held.train.counts, held.test, labels, config.top_n, config.prior_weight, chance, rng)


def told(found: HeldOutLift, labels: np.ndarray, config: "EvaluateConfig", **rest: Any) -> Metric:
    """Held-out lift as a metric, with all its numbers in the details."""
    details: dict[str, Any] = {name: value for name, value in found.numbers.items() if np.isfinite(value)}
    details.update(intervals=found.intervals, segments=found.segments, top_n=config.top_n, draws=config.random_draws)
    details["seeds"], rest["noise_share"] = len(found.hits), encode(np.atleast_2d(labels)[0]).noise_share
    n = found.hits.shape[1]
    if not found.reachable:
        held = np.isfinite(found.numbers["recall"])
        reason = UNREACHABLE if held else EMPTY
        return Metric.of("heldout_lift", np.nan, n, reason=reason, **rest)
    return Metric.of("heldout_lift", found.value, n, interval=found.interval, details=details, **rest)
