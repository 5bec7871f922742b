"""From ties to vectors with default settings: circles are found as well as by Louvain, and roles beside them."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from schemas.config import RepresentConfig
from schemas.tables import DST, EDGES, SRC, TIMESTAMP, USER_ID, USERS, WEIGHT
from tasks.features import social
from tasks.numerics.communities import communities
from tasks.representation import fit

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def circles(seed: int, n: int = 600, k: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Ties (t, 2) of people some of whom know very many, 45 % of them to anybody; and the circle of each person."""
    rng = np.random.default_rng(seed)
    truth, appeal = rng.integers(0, k, n), rng.pareto(2.5, n) + 0.3
    src = rng.choice(n, 4 * n, p=appeal / appeal.sum())
    inside = [np.where(truth == circle, appeal, 0) for circle in range(k)]
    free = rng.random(len(src)) < 0.45
    odds = [appeal if anybody else inside[truth[s]] for s, anybody in zip(src, free, strict=True)]
    return np.stack([src, [rng.choice(n, p=one / one.sum()) for one in odds]], axis=1), truth


def few(n: int = 160, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Ties (t, 2) of people in four plain circles, of which twice as many axes are asked for."""
    rng = np.random.default_rng(1)
    free = rng.random((n, 12)) < 0.05
    circle = np.where(free, rng.integers(k, size=free.shape), (np.arange(n) % k)[:, None])
    met = rng.integers(n // k, size=free.shape) * k + circle
    return np.stack([np.repeat(np.arange(n), 12), met.ravel()], axis=1), np.arange(n) % k


def roles() -> tuple[np.ndarray, np.ndarray]:
    """Three circles of 40, 60 loners, 25 whom all of these follow, and 30 who are tied to every circle."""
    rng = np.random.default_rng(0)
    truth = np.repeat(range(6), (40, 40, 40, 60, 25, 30))
    who = [np.flatnonzero(truth == role) for role in range(6)]
    ties = [(a, b) for own in who[:3] for a in own for b in rng.choice(own[own != a], 12, replace=False)]
    ties += [(a, b) for a in np.concatenate(who[:4]) for b in rng.choice(who[4], 4, replace=False)]
    bridges = [(a, b) for a in who[5] for own in who[:3] for b in rng.choice(own, 4, replace=False)]
    return np.array([*ties, *bridges, *((b, a) for a, b in bridges)]), truth


def agreement(ties: np.ndarray, truth: np.ndarray) -> float:
    """Adjusted Rand index of K-Means on the family's vectors with what was planted."""
    people = [f"u{number:04d}" for number in range(len(truth))]
    told = pl.DataFrame({SRC: [people[a] for a, _ in ties], DST: [people[b] for _, b in ties], WEIGHT: 1.0})
    timeless = told.with_columns(pl.lit(None, pl.Datetime("us", "UTC")).alias(TIMESTAMP))
    bucket, config = {EDGES.name: timeless, USERS.name: pl.DataFrame({USER_ID: people})}, social.Config()
    state = social.finish(social.partial(bucket, config, AS_OF), np.random.default_rng(0))
    X = social.transform(bucket, state, config, AS_OF).drop(USER_ID).to_numpy().astype(np.float32)
    columns, counted = tuple(state.meta["columns"]), state.meta["weights"]
    counts = {f"social.{name}": weight for name, weight in counted.items()}
    blocks, represent = {"social": X}, RepresentConfig()
    made = fit(lambda: [blocks], {"social": columns}, represent, np.random.default_rng(0), counted=counts)
    labels = KMeans(int(truth.max()) + 1, n_init=5, random_state=0).fit_predict(made.transform(blocks))
    return adjusted_rand_score(truth, labels)


@pytest.mark.parametrize("seed", [10, 11, 12])
def test_circles_are_found_as_well_as_by_louvain(seed):
    ties, truth = circles(seed)
    graph = sparse.coo_matrix((np.ones(len(ties)), ties.T), shape=(len(truth),) * 2).tocsr()
    graph.setdiag(0)
    known = adjusted_rand_score(truth, communities((graph + graph.T).tocsr(), "louvain", 1.0, 0))
    assert agreement(ties, truth) > known - 0.05


def test_hubs_bridges_and_loners_are_found_beside_circles():
    assert agreement(*roles()) > 0.9


def test_axes_of_noise_beyond_the_circles_change_nothing():
    assert agreement(*few()) > 0.95
