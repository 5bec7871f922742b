"""EASE against its defining least squares, cornac, and the design's figures on MovieLens-100K."""

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import DataError
from tasks.recommenders import ease
from tests.helpers.histories import histories, movielens_slices, rates

RNG = np.random.default_rng(0)
needs_movielens = pytest.mark.skipif(
    find_spec("recbole") is None, reason="MovieLens-100K comes with the package recbole"
)


def fitted(train, **parameters):
    return ease.fit(train, None, np.zeros(train.shape[0], int), ease.Config(**parameters), RNG)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.floats(0.5, 50))
def test_each_column_is_a_ridge_regression_on_all_other_items(seed, items, l2):
    X = (np.random.default_rng(seed).random((12, items)) < 0.4).astype(float)
    weights = fitted(histories(3 * X), l2=l2).weights  # how often plays no part
    for item in range(items):
        others = np.delete(np.arange(items), item)
        gram = X[:, others].T @ X[:, others] + l2 * np.eye(items - 1)
        np.testing.assert_allclose(weights[others, item], np.linalg.solve(gram, X[:, others].T @ X[:, item]), atol=1e-6)
        assert weights[item, item] == 0


def test_blocks_change_nothing(monkeypatch):
    X = (np.random.default_rng(1).random((60, 23)) < 0.3).astype(float)
    whole = fitted(histories(X)).weights
    monkeypatch.setattr(ease, "_BLOCK", 5)
    np.testing.assert_allclose(fitted(histories(X)).weights, whole, atol=1e-7)


def test_a_history_is_weighted_by_recency():
    X = np.array([[1.0, 1, 1, 0], [1, 0, 1, 1], [0, 1, 1, 1]])  # later in a row means later
    own = fitted(histories(X), l2=1.0, half_life=1 / 3)
    np.testing.assert_allclose(own.scores(np.array([0]))[0], np.array([0.25, 0.5, 1, 0]) @ own.weights, rtol=1e-6)


def test_a_gram_matrix_that_does_not_fit_is_refused_with_its_size():
    with pytest.raises(DataError, match=r"40,000 items need a Gram matrix of 11\.9 GiB, more than max_gib 1"):
        fitted(histories(np.eye(2, 40_000)))


@needs_movielens
def test_movielens_by_recency_and_plain():
    train, test = movielens_slices()
    users = np.arange(train.shape[0])
    recent = rates(fitted(train).recommend(users, 10)[0], test)
    np.testing.assert_allclose(recent, [0.215, 0.159, 0.316], atol=0.003)
    plain = rates(fitted(train, half_life=None, l2=100.0).recommend(users, 10)[0], test)
    np.testing.assert_allclose(plain, [0.169, 0.126, 0.290], atol=0.003)


@pytest.mark.slow
@needs_movielens
@pytest.mark.skipif(find_spec("cornac") is None, reason="cornac is the oracle")
def test_scores_equal_cornacs():
    from cornac.data import Dataset
    from cornac.models import EASE

    train, _ = movielens_slices()
    cells = train.counts.tocoo()
    rows = list(zip(cells.row.tolist(), cells.col.tolist(), np.ones(cells.nnz), strict=True))
    dataset = Dataset.build(rows)
    model = EASE(lamb=100, posB=False, verbose=False).fit(dataset)
    own = fitted(train, l2=100.0, half_life=None).scores(np.arange(train.shape[0]))
    items = [dataset.iid_map[item] for item in np.unique(cells.col)]
    for user in range(0, train.shape[0], 10):
        theirs = model.score(dataset.uid_map[user]).ravel()[items]
        np.testing.assert_allclose(own[user, np.unique(cells.col)], theirs, atol=1e-3)
