"""One-to-one ALS against its normal equations, implicit, and its own figures on MovieLens-100K."""

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.recommenders import als
from tests.helpers.histories import histories, movielens_slices, rates

needs_movielens = pytest.mark.skipif(
    find_spec("recbole") is None, reason="MovieLens-100K comes with the package recbole"
)


def fitted(train, seed=0, **parameters):
    return als.fit(train, None, np.zeros(train.shape[0], int), als.Config(**parameters), np.random.default_rng(seed))


def best(row, others, config):
    """Factors of one row by the normal equations, in float64."""
    confidence = np.where(row > 0, config.alpha * row, 1.0)
    penalty = config.regularization * (1 + np.count_nonzero(row)) ** config.nu
    gram = others.T @ (confidence[:, None] * others) + penalty * np.eye(others.shape[1])
    return np.linalg.solve(gram, others.T @ (confidence * (row > 0)))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([1.0, 4.0]), st.integers(1, 5))
def test_equals_a_slow_rewrite(seed, nu, alpha, factors):
    X = np.random.default_rng(seed).poisson(0.5, size=(14, 9)).astype(float)
    own = fitted(histories(X), seed, nu=nu, alpha=alpha, factors=factors, iterations=3, regularization=0.3)
    items = np.random.default_rng(seed).normal(0.0, 1 / factors, (9, factors))
    for _ in range(3):
        users = np.array([best(row, items, own.config) for row in X])
        items = np.array([best(row, users, own.config) for row in X.T])
    users = np.array([best(row, items, own.config) for row in X])
    np.testing.assert_allclose(own.scores(np.arange(14)), users @ items.T, atol=1e-3)


def test_rows_are_solved_for_in_parts_that_change_nothing(monkeypatch):
    X = np.random.default_rng(1).poisson(0.4, size=(50, 20)).astype(float)
    whole = fitted(histories(X), factors=4)
    monkeypatch.setattr(als, "_ROWS", 3)
    np.testing.assert_array_equal(fitted(histories(X), factors=4).users, whole.users)


@pytest.mark.slow
@needs_movielens
def test_scores_equal_implicits_where_all_penalties_are_alike():
    import threadpoolctl
    from implicit.cpu.als import AlternatingLeastSquares

    train, _ = movielens_slices()
    own = fitted(train, nu=0.0, alpha=3.0, regularization=5.0, factors=16)
    cells = train.counts.astype(np.float32)
    theirs = AlternatingLeastSquares(16, 5.0, 3.0, iterations=10, use_cg=False)
    first = np.random.default_rng(0).normal(0.0, 1 / 16, (cells.shape[1], 16))
    theirs.item_factors = first.astype(np.float32)
    with threadpoolctl.threadpool_limits(1, "blas"):
        theirs.fit(cells, show_progress=False)
        users = theirs.recalculate_user(np.arange(cells.shape[0]), cells)
    np.testing.assert_allclose(own.scores(np.arange(cells.shape[0])), users @ theirs.item_factors.T, atol=1e-3)


@needs_movielens
def test_movielens():
    train, test = movielens_slices()
    found = rates(fitted(train).recommend(np.arange(train.shape[0]), 10)[0], test)
    np.testing.assert_allclose(found[:2], [0.171, 0.127], atol=0.003)
    assert found[2] == pytest.approx(0.345, abs=0.02)
