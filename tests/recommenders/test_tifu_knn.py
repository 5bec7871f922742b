"""TIFU-KNN against its definition, user by user, and cornac's where both say the same."""

import numpy as np
import pytest
import scipy.sparse as sp

from schemas.interactions import Interactions
from tasks.recommenders import tifu_knn
from tests.helpers.histories import histories


def world(seed, users=30, items=25):
    rng = np.random.default_rng(seed)
    counts = sp.csr_matrix(rng.poisson(0.3, (users, items)).astype(np.float32))
    newest = counts.astype(np.float64)
    newest.data = rng.uniform(0, 100, newest.nnz)
    return Interactions(counts, newest, 100.0)


def by_definition(made, neighbours, alpha, half_life):
    """Loops over users; nearest by Euclid among those with an item in common."""
    counts, ages = made.counts.toarray(), made.moment - made.newest.toarray()
    vectors = counts * (1 if half_life is None else 2 ** (-ages / half_life))
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    found = np.zeros_like(vectors)
    for user, own in enumerate(vectors):
        distances = np.linalg.norm(vectors - own, axis=1)
        distances[(vectors * own).sum(axis=1) == 0] = np.inf
        near = np.argsort(distances, kind="stable")[: min(neighbours, int(np.isfinite(distances).sum()))]
        found[user] = alpha * own + (1 - alpha) * vectors[near].mean(axis=0)
    return found


@pytest.mark.parametrize(("neighbours", "alpha", "half_life"), [(5, 0.7, 20.0), (300, 0.3, None), (1, 0.5, 60.0)])
def test_scores_are_those_of_the_definition(neighbours, alpha, half_life):
    made = world(neighbours)
    config = tifu_knn.Config(neighbours=neighbours, alpha=alpha, half_life_days=half_life)
    model = tifu_knn.fit(made, None, np.zeros(30, int), config, np.random.default_rng(0))
    np.testing.assert_allclose(
        model.scores(np.arange(30)), by_definition(made, neighbours, alpha, half_life), atol=1e-6
    )


def test_the_users_own_vector_is_cornacs_where_every_item_is_bought_once():
    """A day for a basket, all in one group decayed alike: the same up to its length, which is 1 here."""
    cornac = pytest.importorskip("cornac.models")
    made = histories(np.eye(6)[:, ::-1][:3] + np.eye(6)[:3])
    rate, peer = 0.8, cornac.TIFUKNN(within_decay_rate=0.8, n_groups=1)
    peer.iid_map = dict.fromkeys(range(6))
    config = tifu_knn.Config(alpha=1.0, half_life_days=-np.log(2) / np.log(rate))
    own = tifu_knn.fit(made, None, np.zeros(3, int), config, np.random.default_rng(0)).scores(np.arange(3))
    for user in range(3):
        days = np.argsort(made.newest[user].data)
        theirs = peer._compute_user_vector([[item] for item in made.counts[user].indices[days]])
        np.testing.assert_allclose(own[user], theirs / np.linalg.norm(theirs), atol=1e-3)


def test_what_was_bought_often_and_of_late_comes_first_and_neighbours_fill_the_list():
    counts = np.array([[5, 1, 0, 0, 0], [4, 0, 2, 0, 0], [0, 0, 0, 3, 1]], float)
    made = histories(counts)
    model = tifu_knn.fit(made, None, np.zeros(3, int), tifu_knn.Config(half_life_days=None), np.random.default_rng(0))
    items, _ = model.recommend(np.array([0]), 3, exclude_seen=False)
    assert items[0].tolist() == [0, 2, 1] or items[0].tolist() == [0, 1, 2]
    assert model.recommend(np.array([0]), 1)[0].tolist() == [[2]]  # of new ones what the neighbour has
