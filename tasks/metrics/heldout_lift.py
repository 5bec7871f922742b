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
from tasks.metrics._labels import Codes, encode, one_hot
from tasks.metrics._ranking import orders, top_unseen

if TYPE_CHECKING:
    import scipy.sparse as sp

    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext

Interval = tuple[float, float]


@dataclass(frozen=True)
class Outcome:
    """How one way of recommending did: (n,) hits of each user, and the distinct items it recommended."""

    hits: np.ndarray
    recommended: int


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
    train, test, codes = _clean(train), _clean(test), encode(labels, train.shape[0])
    own = np.diff(test.indptr)
    everyone = np.full(len(codes.codes), -1)
    segments = _outcome(train, test, codes.codes, codes.k, top_n, prior_weight)
    popular = _outcome(train, test, everyone, 0, top_n, prior_weight)
    shuffled = (rng.permutation(codes.codes) for _ in range(draws))
    random = [_outcome(train, test, drawn, codes.k, top_n, prior_weight) for drawn in shuffled]
    items = len(np.union1d(train.indices, test.indices))
    numbers = _numbers(segments, popular, random, own, items, top_n)
    intervals = _intervals(segments.hits, popular.hits, [one.hits for one in random], own, top_n, bootstraps, rng)
    return HeldOutLift(numbers.pop("lift_precision"), intervals.pop("lift_precision", None), numbers, intervals,
                       _by_segment(codes, segments.hits, popular.hits, top_n))  # fmt: skip


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """Held-out lift of the candidate as refitted on the train slice; missing without events or without that refit."""
    n = len(context.X)
    rest: dict[str, Any] = {"space": context.space, "seed": context.seed}
    held, labels = context.heldout, context.heldout_labels
    if held is None or labels is None:
        reason = "no events to hold out" if held is None else "the candidate was not refitted on the train slice"
        return Metric.of("heldout_lift", np.nan, n, reason=reason, **rest)
    rng = np.random.default_rng(context.seed)
    found = heldout_lift(
        held.train, held.test, labels, config.top_n, config.prior_weight, config.random_draws, config.bootstraps, rng
    )
    details: dict[str, Any] = {name: value for name, value in found.numbers.items() if np.isfinite(value)}
    details.update(intervals=found.intervals, segments=found.segments, top_n=config.top_n, draws=config.random_draws)
    rest["noise_share"] = encode(labels).noise_share
    return Metric.of("heldout_lift", found.value, len(labels), interval=found.interval, details=details, **rest)


def _clean(matrix: "sp.csr_matrix") -> "sp.csr_matrix":
    """CSR with one stored, non-zero value per cell; the argument is left as it is."""
    matrix = matrix.tocsr().astype(np.float64)  # astype copies
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _outcome(
    train: "sp.csr_matrix", test: "sp.csr_matrix", codes: np.ndarray, k: int, top_n: int, prior_weight: float
) -> Outcome:
    """Recommend by segment (global popularity is row k of the scores) and count the hits."""
    users = train.shape[0]
    popularity = np.asarray(train.sum(axis=0)).ravel() / users
    members = np.bincount(codes[codes >= 0], minlength=k)
    scores = np.vstack(
        [np.asarray((one_hot(codes, k).T @ train).todense()) / members[:, None], np.zeros(train.shape[1])]
    )
    scores += prior_weight * popularity if prior_weight else 0.0
    scores[k] = popularity
    chosen = top_unseen(orders(scores), np.where(codes < 0, k, codes), train, top_n)
    cells = np.arange(users)[:, None] * train.shape[1] + chosen
    owned = np.repeat(np.arange(users), np.diff(test.indptr)) * train.shape[1] + test.indices
    hits = (np.isin(cells, owned) & (chosen >= 0)).sum(axis=1)
    return Outcome(hits.astype(np.float64), len(np.unique(chosen[chosen >= 0])))


def _numbers(
    segments: Outcome, popular: Outcome, random: list[Outcome], own: np.ndarray, items: int, top_n: int
) -> dict[str, float]:
    """Precision, recall, coverage of all three, and the lifts."""

    def rates(outcome: Outcome) -> np.ndarray:
        return np.array([*_rates(outcome.hits, own, top_n), outcome.recommended / items if items else np.nan])

    plain, base = rates(segments), rates(popular)
    control = np.mean([rates(one) for one in random], axis=0) if random else np.full(3, np.nan)
    names = ("precision", "recall", "coverage")
    out: dict[str, float] = {}
    for at, name in enumerate(names):
        out[name], out[f"global_{name}"], out[f"random_{name}"] = float(plain[at]), float(base[at]), float(control[at])
        out[f"lift_{name}"] = _lift(plain[at], base[at])
        out[f"random_lift_{name}"] = _lift(control[at], base[at])
        out[f"lift_over_random_{name}"] = _lift(plain[at], control[at])
    return out


def _intervals(
    hits: np.ndarray, popular: np.ndarray, random: list[np.ndarray], own: np.ndarray, top_n: int, bootstraps: int,
    rng: np.random.Generator,
) -> dict[str, Interval]:  # fmt: skip
    """95 % percentile intervals over resampled users; a number that is undefined in a resample has none."""
    n = len(hits)
    control = np.mean(random, axis=0) if random else np.full(n, np.nan)
    rows = []
    for _ in range(bootstraps):
        weights = np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)
        ours, base, drawn = (_rates(one, own, top_n, weights) for one in (hits, popular, control))
        lifts = [_lift(a, b) for other in (base, drawn) for a, b in zip(ours, other, strict=True)]
        rows.append([*ours, *base, *lifts])
    names = ("precision", "recall", "global_precision", "global_recall", "lift_precision", "lift_recall",
             "lift_over_random_precision", "lift_over_random_recall")  # fmt: skip
    found = np.array(rows).reshape(-1, len(names))
    return {
        name: (float(np.quantile(column, 0.025)), float(np.quantile(column, 0.975)))
        for name, column in zip(names, found.T, strict=True)
        if len(column) and np.isfinite(column).all()
    }


def _by_segment(codes: Codes, hits: np.ndarray, popular: np.ndarray, top_n: int) -> dict[str, dict[str, float | None]]:
    """Users, precision and lift of each segment; lift is None where popularity hits nothing."""
    ours, base = codes.by_segment(hits / top_n), codes.by_segment(popular / top_n)
    return {
        name: {
            "users": int(users), "precision": ours[name], "global_precision": base[name],
            "lift": _lift(ours[name], base[name]) if base[name] > 0 else None,
        }
        for name, users in zip(ours, codes.counts, strict=True)
    }  # fmt: skip


def _rates(hits: np.ndarray, own: np.ndarray, top_n: int, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Precision over all users, recall over users with test items."""
    weights = np.ones(len(hits)) if weights is None else weights
    tested = weights * (own > 0)
    precision = (weights @ hits) / (weights.sum() * top_n) if weights.sum() else np.nan
    recall = (tested @ (hits / np.maximum(own, 1))) / tested.sum() if tested.sum() else np.nan
    return float(precision), float(recall)


def _lift(ours: float, base: float) -> float:
    """Relative lift; NaN where the baseline is 0 or unknown."""
    return float(ours / base - 1.0) if base > 0 else float("nan")
