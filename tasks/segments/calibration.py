"""How far is too far, and how sure is an assignment: both measured, never assumed.

A segment's floor is a quantile of its members' training distances. The confidence of an assignment is the share of
held-out users of like margin whose segment was the same when they were left out of the fit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from schemas.artifacts import State
from schemas.config import CalibrationConfig
from schemas.errors import DataError
from schemas.evaluation import Assignment
from tasks.numerics.groups import means
from tasks.segments import _distances
from tasks.segments._matching import relabel

LEAST_FLOOR = 0.05
"""Of the way to the nearest other segment: nobody nearer than that is too far, however alike the members are."""
Refit = Callable[[np.ndarray, int], np.ndarray]
"""Refits a candidate on the given row indices with a seed; labels for all rows come back."""


class HeldOutAgreement(NamedTuple):
    """Users as they look to a fit that never saw them.

    Attributes:
        margins: (m,) margin of each user under the registered fit.
        agree: (m,) bool, whether a fit without the user gave the same segment.
    """

    margins: np.ndarray
    agree: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """Floors and confidence, as data.

    Attributes:
        space: "euclidean" or "cosine".
        floors: (k,) float64; a user farther than this from the segment is unassigned. Unit: the clusterer's distance.
        centroids: (k, d) float64 members' means, in the space of the vectors.
        knots: (2, m) float64: margins, rising, and the confidence at each; between them it is linear.
        facts: How it was measured: users, share of agreement, whether held-out.
    """

    space: str
    floors: np.ndarray
    centroids: np.ndarray
    knots: np.ndarray
    facts: dict[str, Any]

    def margin(self, X: np.ndarray, labels: np.ndarray, second: np.ndarray) -> np.ndarray:
        """(n,) float64 in [-1, 1]: (d2 - d1) / (d2 + d1), d1 and d2 the distances to the means of the first and second.

        0 halfway between the two, 1 on the segment's mean; NaN for noise. Where the clusterer names no second, the
        nearest other mean counts; with a single segment the margin is 1.
        """
        out = np.full(len(X), np.nan)
        at = np.flatnonzero(labels >= 0)
        if len(self.centroids) == 1 or len(at) == 0:
            out[at] = 1.0
            return out
        others = self.runner_up(X[at], labels[at], second[at])
        first = _distances.rows(X[at], self.centroids[labels[at]], self.space)
        next_best = _distances.rows(X[at], self.centroids[others], self.space)
        total = first + next_best
        out[at] = np.divide(next_best - first, total, out=np.zeros(len(at)), where=total > 0)
        return out

    def runner_up(self, X: np.ndarray, labels: np.ndarray, second: np.ndarray) -> np.ndarray:
        """(n,) second labels, with the nearest other mean where the clusterer named none."""
        others = np.array(second, np.int64)
        gaps = np.flatnonzero((others < 0) | (others == labels))
        if len(gaps):
            distances = _distances.table(X[gaps], self.centroids, self.space)
            distances[np.arange(len(gaps)), labels[gaps]] = np.inf
            others[gaps] = distances.argmin(axis=1)
        return others

    def confidence(self, margins: np.ndarray) -> np.ndarray:
        """(n,) probability that the segment is the one a refit would give; 0 for noise (NaN margins)."""
        filled = np.nan_to_num(margins, nan=-1.0)
        return np.where(np.isnan(margins), 0.0, np.interp(filled, self.knots[0], self.knots[1]))

    def to_state(self) -> State:
        """As arrays and facts, for a bundle."""
        arrays = {"floors": self.floors, "centroids": self.centroids, "knots": self.knots}
        return State(arrays, {"space": self.space, **self.facts})


def from_state(state: State, k: int, dimension: int) -> Calibration:
    """The calibration in a bundle's state.

    Args:
        state: What `Calibration.to_state` gave.
        k: Number of segments.
        dimension: Length of a user's vector.

    Raises:
        DataError: arrays missing, of other shapes, not finite, or confidences that are none.
    """
    try:
        floors, centroids, knots = (state.arrays[name] for name in ("floors", "centroids", "knots"))
        facts = dict(state.meta)
        space = facts.pop("space")
    except KeyError as error:
        raise DataError(f"calibration: {error} is missing; the bundle is damaged") from error
    if floors.shape != (k,) or centroids.shape != (k, dimension) or knots.ndim != 2 or knots.shape[0] != 2:
        raise DataError(f"calibration: floors {floors.shape}, means {centroids.shape} for {k} segments of {dimension}")
    whole = all(np.isfinite(array).all() for array in (floors, centroids, knots)) and knots.shape[1] >= 1
    if not whole or (np.diff(knots[0]) <= 0).any() or knots[1].min() < 0 or knots[1].max() > 1:
        raise DataError("calibration: floors, means or confidences are not finite numbers in bounds")
    return Calibration(space, floors, centroids, knots, facts)


def fit(
    X: np.ndarray,
    found: Assignment,
    *,
    k: int,
    space: str,
    config: CalibrationConfig,
    refit: Refit | None = None,
    seed: int = 0,
) -> Calibration:
    """Measure floors and confidence on the training users.

    Args:
        X: (n, d) vectors the clusterer was fitted on.
        found: What `assign(X)` gave.
        k: Number of segments.
        space: "euclidean" or "cosine".
        config: Quantile, slack and folds.
        refit: Refits the candidate, for the confidence; none, or no folds: an uncalibrated guess, marked as such.
        seed: Seed of the folds and refits.

    Raises:
        DataError: a segment without members, which no distance could be calibrated on.
    """
    labels, distance, second = found
    sizes = np.bincount(labels[labels >= 0], minlength=k)
    if len(sizes) != k or (sizes == 0).any():
        raise DataError(f"calibration: {int((sizes == 0).sum())} of {k} segments have no members; refit with fewer")
    centroids = means(X, labels, k, empty=np.nan)
    least = LEAST_FLOOR * spacing(centroids, space)
    bounds = np.maximum(floors(labels, distance, k, config), least)
    bare = Calibration(space, bounds, centroids, np.array([[-1.0, 1.0], [0.0, 1.0]]), {})
    if refit is None or config.folds < 2 or k < 2:
        facts: dict[str, Any] = {"calibrated": False, "users": len(X), "agreement": None}
        return Calibration(space, bare.floors, centroids, bare.knots, facts)
    held_out = agreement(bare, X, labels, second, refit, config.folds, seed)
    facts = {"calibrated": True, "users": len(held_out.agree), "agreement": float(held_out.agree.mean())}
    return Calibration(space, bare.floors, centroids, confidence_knots(held_out), facts)


def spacing(centroids: np.ndarray, space: str) -> np.ndarray:
    """(k,) distance of each mean to the nearest other one; 0 with a single segment."""
    apart = _distances.table(centroids, centroids, space)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.min(axis=1)
    return np.where(np.isfinite(nearest), nearest, 0.0)


def floors(labels: np.ndarray, distance: np.ndarray, k: int, config: CalibrationConfig) -> np.ndarray:
    """(k,) distance of each segment beyond which a user does not belong.

    quantile(members' distances) x slack; a segment with fewer members than `min_floor_users` takes the largest floor
    of the others if that is higher, for its own quantile is mostly chance.
    """
    out = np.empty(k)
    sizes = np.zeros(k, np.int64)
    for label in range(k):
        own = distance[(labels == label) & np.isfinite(distance)]
        sizes[label] = len(own)
        out[label] = np.quantile(own, config.floor_quantile) * config.floor_slack if len(own) else 0.0
    thin = sizes < config.min_floor_users
    if thin.any() and not thin.all():
        out[thin] = np.maximum(out[thin], out[~thin].max())
    elif thin.all():
        out[:] = out.max()
    return out


def agreement(
    calibration: Calibration, X: np.ndarray, labels: np.ndarray, second: np.ndarray, refit: Refit, folds: int, seed: int
) -> HeldOutAgreement:
    """Leave each fold of users out, refit, match the labels one to one, and see who keeps the segment.

    Matching is by the users who were kept in, so that what is measured on the others is honest.
    """
    rng = np.random.default_rng(seed)
    fold = rng.permutation(len(X)) % folds
    margins = calibration.margin(X, labels, second)
    agree = np.zeros(len(X), bool)
    for number in range(folds):
        kept = np.flatnonzero(fold != number)
        again = np.asarray(refit(kept, seed + 1 + number))
        renamed = relabel(again, again[kept], labels[kept])
        agree[fold == number] = (renamed == labels)[fold == number]
    judged = labels >= 0
    return HeldOutAgreement(margins[judged], agree[judged])


def confidence_knots(held_out: HeldOutAgreement, most: int = 200) -> np.ndarray:
    """(2, m) isotonic curve from margin to probability of agreement (pool adjacent violators).

    Probabilities keep away from 0 and 1 by the rule of succession, (hits + 1) / (n + 2): nothing is certain.
    """
    from sklearn.isotonic import IsotonicRegression

    n = len(held_out.agree)
    curve = IsotonicRegression(out_of_bounds="clip").fit(held_out.margins, held_out.agree.astype(np.float64))
    x, y = np.asarray(curve.X_thresholds_, np.float64), np.asarray(curve.y_thresholds_, np.float64)
    x, first = np.unique(x, return_index=True)
    y = np.clip(y[first], 1 / (n + 2), 1 - 1 / (n + 2))
    if len(x) > most:
        at = np.unique(np.linspace(0, len(x) - 1, most).round().astype(int))
        x, y = x[at], y[at]
    return np.stack([x, y])


def calibration_error(confidence: np.ndarray, agree: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean over equally filled bins of |mean confidence - share of agreement|, by users."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(abs(confidence[p].mean() - agree[p].mean()) * len(p) for p in parts) / len(order))
