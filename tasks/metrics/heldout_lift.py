"""Held-out lift: do recommendations from a user's segment hit more of what the user did next than popularity does?

Protocol: an item's score for a segment = its train interactions by the members / members + `prior_weight` × its train
interactions / users; items seen in train are removed, the top 10 remain (equal scores by item number). Precision =
mean hits / 10 over all users; recall = mean over users with test items of hits / own test items; coverage = distinct
recommended / distinct items in the data. Beside it stand global popularity and random segments of the same sizes.
Users without a segment (−1) get global popularity. Intervals: percentile bootstrap over users, paired.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import DataError
from schemas.reports import Metric
from tasks.metrics._labels import encode
from tasks.metrics._lift import Interval, by_segment, clean, intervals_of, numbers_of, recommend

if TYPE_CHECKING:
    import scipy.sparse as sp

    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext


@dataclass(frozen=True)
class HeldOutLift:
    """Lift and what it is made of; lifts are relative (0.4 = +40 %), NaN where the baseline is 0.

    Attributes:
        value: Relative lift of precision over global popularity.
        interval: 95 % bootstrap interval of `value`, None where it is undefined.
        numbers: Precision, recall and coverage, plain and as `global_*`, `random_*` (means over the draws), their
            lifts `lift_recall`, `lift_coverage`, and `random_lift*`: the random segments' lifts over popularity.
        intervals: 95 % bootstrap intervals of some of `numbers`.
        segments: Label -> users, precision, global precision and lift.
    """

    value: float
    interval: Interval | None
    numbers: dict[str, float]
    intervals: dict[str, Interval]
    segments: dict[str, dict[str, float | None]]


def heldout_lift(
    train: "sp.csr_matrix", test: "sp.csr_matrix", labels: np.ndarray, top_n: int = 10, prior_weight: float = 0.3,
    draws: int = 5, bootstraps: int = 200, rng: np.random.Generator | None = None,
) -> HeldOutLift:  # fmt: skip
    """Measure the protocol above.

    Args:
        train: (n, items) CSR, how often a user interacted with an item in the train slice.
        test: (n, items) CSR, non-zero where the user's test slice holds the item.
        labels: (n,) segments fitted on the train slice, −1 for none.
        top_n: Items recommended to each user.
        prior_weight: Weight of global popularity in an item's score.
        draws: Random segmentations of the same sizes (labels shuffled over users).
        bootstraps: Resamples of users behind the intervals.
        rng: Draws both; None: seed 0.

    Raises:
        DataError: The shapes don't align.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    if train.shape != test.shape:
        raise DataError(f"held-out lift: train is {train.shape}, test is {test.shape}; they must align")
    train, test, codes = clean(train), clean(test), encode(labels, train.shape[0])
    own = np.diff(test.indptr)
    everyone = np.full(len(codes.codes), -1)
    segments = recommend(train, test, codes.codes, codes.k, top_n, prior_weight)
    popular = recommend(train, test, everyone, 0, top_n, prior_weight)
    shuffled = (rng.permutation(codes.codes) for _ in range(draws))
    random = [recommend(train, test, drawn, codes.k, top_n, prior_weight) for drawn in shuffled]
    items = len(np.union1d(train.indices, test.indices))
    numbers = numbers_of(segments, popular, random, own, items, top_n)
    intervals = intervals_of(segments.hits, popular.hits, [one.hits for one in random], own, top_n, bootstraps, rng)
    return HeldOutLift(numbers.pop("lift_precision"), intervals.pop("lift_precision", None), numbers, intervals,
                       by_segment(codes, segments.hits, popular.hits, top_n))  # fmt: skip


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """Held-out lift of the candidate as refitted on the train slice; missing without events or without that refit."""
    n = len(context.X)
    rest: dict[str, Any] = {"space": context.space, "seed": context.seed}
    held, labels = context.heldout, context.heldout_labels
    if not config.lift or held is None or labels is None:
        reason = "no events to hold out" if held is None else "the candidate was not refitted on the train slice"
        reason = reason if config.lift else "evaluate.lift is off: items are not users' choices"
        return Metric.of("heldout_lift", np.nan, n, reason=reason, **rest)
    rng = np.random.default_rng(context.seed)
    found = heldout_lift(
        held.train, held.test, labels, config.top_n, config.prior_weight, config.random_draws, config.bootstraps, rng
    )
    details: dict[str, Any] = {name: value for name, value in found.numbers.items() if np.isfinite(value)}
    details.update(intervals=found.intervals, segments=found.segments, top_n=config.top_n, draws=config.random_draws)
    rest["noise_share"] = encode(labels).noise_share
    return Metric.of("heldout_lift", found.value, len(labels), interval=found.interval, details=details, **rest)
