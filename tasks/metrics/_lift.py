"""The arithmetic of held-out lift: hits, rates, lifts and their intervals."""

from typing import TYPE_CHECKING

import numpy as np

from tasks.metrics._labels import Codes
from tasks.numerics.hits import Outcome, judged, rates
from tasks.numerics.paired import resamples
from tasks.numerics.popularity import group_scores
from tasks.ranking.highest import orders, top_unseen

if TYPE_CHECKING:
    import scipy.sparse as sp

Interval = tuple[float, float]


def recommend(
    train: "sp.csr_matrix", test: "sp.csr_matrix", codes: np.ndarray, k: int, top_n: int, prior_weight: float
) -> Outcome:
    """Recommend by segment (global popularity is row k of the scores) and count the hits."""
    scores = group_scores(train, codes, k, prior_weight)
    chosen = top_unseen(orders(scores), np.where(codes < 0, k, codes), train, top_n)
    return judged(chosen, test)


def reachable(train: "sp.csr_matrix", test: "sp.csr_matrix") -> int:
    """Test cells that could be hit: of items that the user has not in train, and somebody has."""
    new = (test - test.multiply(train > 0)).tocsr()
    new.eliminate_zeros()
    return int((train.getnnz(axis=0)[new.indices] > 0).sum())


def numbers_of(
    segments: list[Outcome], popular: Outcome, random: list[Outcome], own: np.ndarray, items: int, top_n: int
) -> dict[str, float]:
    """Precision, recall, coverage of all three, and the lifts; of segments and random ones the means."""

    def three(outcome: Outcome) -> np.ndarray:
        return np.array([*rates(outcome.hits, own, top_n), outcome.recommended / items if items else np.nan])

    plain, base = np.mean([three(one) for one in segments], axis=0), three(popular)
    control = np.mean([three(one) for one in random], axis=0) if random else np.full(3, np.nan)
    names, least = ("precision", "recall", "coverage"), one_hit(own, top_n)
    out: dict[str, float] = {}
    for at, name in enumerate(names):
        out[name], out[f"global_{name}"], out[f"random_{name}"] = float(plain[at]), float(base[at]), float(control[at])
        out[f"lift_{name}"] = lift(plain[at], base[at], least[at])
        out[f"random_lift_{name}"] = lift(control[at], base[at], least[at])
        out[f"lift_over_random_{name}"] = lift(plain[at], control[at], least[at])
    return out


def intervals_of(
    hits: np.ndarray,
    popular: np.ndarray,
    random: list[np.ndarray],
    own: np.ndarray,
    top_n: int,
    bootstraps: int,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """95 % percentile intervals over resampled users and seeds, of which `hits` (seeds, n) or (n,) has a row each."""
    hits, n, least = np.atleast_2d(hits), len(popular), one_hit(own, top_n)
    control = np.mean(random, axis=0) if random else np.full(n, np.nan)
    rows = []
    for weights in resamples(n, bootstraps, rng):
        drawn = hits[rng.integers(len(hits))]
        ours, base, chance = (rates(one, own, top_n, weights) for one in (drawn, popular, control))
        lifts = [lift(*pair) for other in (base, chance) for pair in zip(ours, other, least, strict=False)]
        rows.append([*ours, *base, *lifts])
    names = (
        "precision",
        "recall",
        "global_precision",
        "global_recall",
        "lift_precision",
        "lift_recall",
        "lift_over_random_precision",
        "lift_over_random_recall",
    )
    found = np.array(rows).reshape(-1, len(names))
    return {
        name: (float(np.quantile(column, 0.025)), float(np.quantile(column, 0.975)))
        for name, column in zip(names, found.T, strict=True)
        if len(column) and np.isfinite(column).all()
    }


def by_segment(codes: Codes, hits: np.ndarray, popular: np.ndarray, top_n: int) -> dict[str, dict[str, float | None]]:
    """Users, precision and lift of each segment."""
    ours, base = codes.by_segment(hits / top_n), codes.by_segment(popular / top_n)
    return {
        name: {
            "users": users,
            "precision": ours[name],
            "global_precision": base[name],
            "lift": lift(ours[name], base[name], 1 / (users * top_n)),
        }
        for name, users in zip(ours, codes.counts.tolist(), strict=True)
    }


def one_hit(own: np.ndarray, top_n: int) -> tuple[float, float, float]:
    """What one hit is worth in precision and (about) in recall, and 0 for coverage, which is never 0."""
    return 1 / max(len(own) * top_n, 1), 1 / max(float(own.sum()), 1.0), 0.0


def lift(ours: float, base: float, least: float = 0.0) -> float:
    """Relative lift; a baseline that hits nobody counts as `least`, so that a lift is a number. NaN where unknown."""
    floor = max(base, least)
    return float(ours / floor - 1.0) if floor > 0 else float("nan")
