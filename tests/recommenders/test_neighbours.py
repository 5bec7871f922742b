"""Similar items and similar users against slow rewrites and implicit, and their figures on MovieLens-100K."""

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.recommenders import item_knn, user_knn
from tests.helpers.histories import histories, movielens_slices, rates

RNG = np.random.default_rng(0)
needs_movielens = pytest.mark.skipif(
    find_spec("recbole") is None, reason="MovieLens-100K comes with the package recbole"
)


def cosine(a, b):
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / norms if norms else 0.0


def fitted(module, train, labels=None, **parameters):
    labels = np.zeros(train.shape[0], int) if labels is None else labels
    return module.fit(train, None, labels, module.Config(**parameters), RNG)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 6), st.booleans())
def test_item_knn_equals_a_slow_rewrite(seed, items, k, counts):
    rng = np.random.default_rng(seed)
    X = rng.poisson(0.6, size=(15, items)) * rng.integers(1, 99, size=(15, items)).astype(float)
    compared = X if counts else (X > 0).astype(float)
    scores = fitted(item_knn, histories(X), neighbours=k, counts=counts).scores(np.arange(15))
    for item in range(items):
        near = [0.0 if j == item else cosine(compared[:, item], compared[:, j]) for j in range(items)]
        best = np.sort(near)[::-1][:k]
        if k < items and len(near) > k and np.isclose(np.sort(near)[::-1][k], best[-1]):
            continue  # which of two equal neighbours counts is open
        near = np.where(np.array(near) >= best[-1], near, 0)
        np.testing.assert_allclose(scores[:, item], (X > 0) @ near, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 20), st.integers(1, 6), st.sampled_from(["all", "segment"]))
def test_user_knn_equals_a_slow_rewrite(seed, users, k, within):
    rng = np.random.default_rng(seed)
    X = (rng.random((users, 30)) < 0.3).astype(float)
    labels = rng.integers(-1, 3, size=users)
    scores = fitted(user_knn, histories(2 * X), labels, neighbours=k, within=within).scores(np.arange(users))
    for user in range(users):
        near = [
            cosine(X[user], X[v]) if within == "all" or labels[user] in (-1, labels[v]) else 0.0 for v in range(users)
        ]
        chosen = sorted(range(users), key=lambda v: (-np.float32(round(near[v], 6)), v))[:k]
        tied = sorted(np.round(near, 5))[::-1]
        if k < users and tied[k - 1] == tied[k]:
            continue  # equal but for rounding
        weight = sum(near[v] for v in chosen)
        expected = sum(near[v] * X[v] for v in chosen) / weight if weight else np.zeros(30)
        np.testing.assert_allclose(scores[user], expected, atol=1e-5)


def test_neighbours_of_a_segment_are_its_members():
    X = np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]])
    own = fitted(user_knn, histories(X), np.array([0, 0, 1]), within="segment")
    assert (own.scores(np.array([0]))[0] > 0).tolist() == [True, True, True, False]
    newcomer = own.of(histories(X[:1]), np.array([1]))
    assert (newcomer.scores(np.array([0]))[0] > 0).tolist() == [True, False, False, True]


def test_many_users_of_few_items_are_compared_in_parts(monkeypatch):
    X = (np.random.default_rng(0).random((50, 12)) < 0.4).astype(float)
    whole = fitted(user_knn, histories(X), neighbours=5).recommend(np.arange(50), 4)[0]
    monkeypatch.setattr("tasks.recommenders._fitted._CHUNK_VALUES", 50 * 7)
    np.testing.assert_array_equal(fitted(user_knn, histories(X), neighbours=5).recommend(np.arange(50), 4)[0], whole)


@needs_movielens
def test_item_knn_equals_implicits_where_all_are_neighbours():
    from implicit.nearest_neighbours import CosineRecommender

    from tasks.numerics.interactions import binary

    train, _ = movielens_slices()
    users, items = train.shape
    model = CosineRecommender(K=items)
    model.fit(binary(train).astype(np.float64), show_progress=False)
    similar = model.similarity.toarray()
    np.fill_diagonal(similar, 0.0)
    own = fitted(item_knn, train, neighbours=items).scores(np.arange(users))
    np.testing.assert_allclose(own, binary(train) @ similar, atol=1e-3)


@needs_movielens
def test_movielens():
    train, test = movielens_slices()
    users = np.arange(train.shape[0])
    items = rates(fitted(item_knn, train).recommend(users, 10)[0], test)
    np.testing.assert_allclose(items, [0.157, 0.113, 0.279], atol=0.003)
    others = rates(fitted(user_knn, train).recommend(users, 10)[0], test)
    np.testing.assert_allclose(others, [0.163, 0.117, 0.191], atol=0.003)
