"""The arithmetic of held-out lift: hits, rates, lifts and their intervals."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.metrics._labels import Codes, one_hot
from tasks.metrics._ranking import orders, top_unseen

if TYPE_CHECKING:
    import scipy.sparse as sp

Interval = tuple[float, float]


@dataclass(frozen=True)
class Outcome:
    """How one way of recommending did: (n,) hits of each user, and the distinct items it recommended."""

    hits: np.ndarray
    recommended: int


def clean(matrix: "sp.csr_matrix") -> "sp.csr_matrix":
    """CSR with one stored, non-zero value per cell; the argument is left as it is."""
    matrix = matrix.tocsr().astype(np.float64)  # astype copies
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def recommend(
    train: "sp.csr_matrix", test: "sp.csr_matrix", codes: np.ndarray, k: int, top_n: int, prior_weight: float
) -> Outcome:
    """Recommend by segment (global popularity is row k of the scores) and count the hits."""
    users = train.shape[0]
    popularity = np.asarray(train.sum(axis=0)).ravel() / users
    members = np.maximum(np.bincount(codes[codes >= 0], minlength=k), 1)
    scores = np.vstack(
        [np.asarray((one_hot(codes, k).T @ train).todense()) / members[:, None], np.zeros(train.shape[1])]
    )
    scores += prior_weight * popularity if prior_weight else 0.0
    scores[k] = popularity
    chosen = top_unseen(orders(scores), np.where(codes < 0, k, codes), train, top_n)
    return judged(chosen, test)


def judged(chosen: np.ndarray, test: "sp.csr_matrix") -> Outcome:
    """Count the hits of any recommendation: (n, top) item numbers, −1 where nothing was left to recommend.

    `test` is as `clean` leaves it, so that its cells are in order and each recommended one is found by bisection.
    """
    users, items = test.shape
    cells = np.arange(users)[:, None] * items + chosen
    owned = np.append(np.repeat(np.arange(users), np.diff(test.indptr)) * items + test.indices, -1)  # −1: past the end
    found = owned[np.searchsorted(owned[:-1], cells)] == cells
    hits = (found & (chosen >= 0)).sum(axis=1)
    return Outcome(hits.astype(np.float64), int(np.count_nonzero(np.bincount(chosen[chosen >= 0], minlength=1))))


def numbers_of(
    segments: Outcome, popular: Outcome, random: list[Outcome], own: np.ndarray, items: int, top_n: int
) -> dict[str, float]:
    """Precision, recall, coverage of all three, and the lifts."""

    def three(outcome: Outcome) -> np.ndarray:
        return np.array([*rates(outcome.hits, own, top_n), outcome.recommended / items if items else np.nan])

    plain, base = three(segments), three(popular)
    control = np.mean([three(one) for one in random], axis=0) if random else np.full(3, np.nan)
    names = ("precision", "recall", "coverage")
    out: dict[str, float] = {}
    for at, name in enumerate(names):
        out[name], out[f"global_{name}"], out[f"random_{name}"] = float(plain[at]), float(base[at]), float(control[at])
        out[f"lift_{name}"] = _lift(plain[at], base[at])
        out[f"random_lift_{name}"] = _lift(control[at], base[at])
        out[f"lift_over_random_{name}"] = _lift(plain[at], control[at])
    return out


def intervals_of(
    hits: np.ndarray, popular: np.ndarray, random: list[np.ndarray], own: np.ndarray, top_n: int, bootstraps: int,
    rng: np.random.Generator,
) -> dict[str, Interval]:  # fmt: skip
    """95 % percentile intervals over resampled users; a number that is undefined in a resample has none."""
    n = len(hits)
    control = np.mean(random, axis=0) if random else np.full(n, np.nan)
    rows = []
    for _ in range(bootstraps):
        weights = np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)
        ours, base, drawn = (rates(one, own, top_n, weights) for one in (hits, popular, control))
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


def by_segment(codes: Codes, hits: np.ndarray, popular: np.ndarray, top_n: int) -> dict[str, dict[str, float | None]]:
    """Users, precision and lift of each segment; lift is None where popularity hits nothing."""
    ours, base = codes.by_segment(hits / top_n), codes.by_segment(popular / top_n)
    return {
        name: {
            "users": int(users), "precision": ours[name], "global_precision": base[name],
            "lift": _lift(ours[name], base[name]) if base[name] > 0 else None,
        }
        for name, users in zip(ours, codes.counts, strict=True)
    }  # fmt: skip


def rates(hits: np.ndarray, own: np.ndarray, top_n: int, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Precision over all users, recall over users with test items."""
    weights = np.ones(len(hits)) if weights is None else weights
    tested = weights * (own > 0)
    precision = (weights @ hits) / (weights.sum() * top_n) if weights.sum() else np.nan
    recall = (tested @ (hits / np.maximum(own, 1))) / tested.sum() if tested.sum() else np.nan
    return float(precision), float(recall)


def _lift(ours: float, base: float) -> float:
    """Relative lift; NaN where the baseline is 0 or unknown."""
    return float(ours / base - 1.0) if base > 0 else float("nan")
