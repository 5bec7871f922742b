"""Personal frequency: own counts first, by count and then by popularity; the rest by popularity."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.interactions import Interactions
from tasks.recommenders import personal_frequency
from tests.helpers.histories import histories


def fitted(train, **parameters):
    config = personal_frequency.Config(**parameters)
    return personal_frequency.fit(train, None, np.zeros(train.shape[0], int), config, np.random.default_rng(0))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_equals_sorting_by_own_count_then_popularity(seed, items):
    X = np.random.default_rng(seed).poisson(0.7, size=(9, items)).astype(float)
    found, _ = fitted(histories(X)).recommend(np.arange(9), items, exclude_seen=False)
    for user in range(9):
        expected = sorted(range(items), key=lambda i: (-X[user, i], -X[:, i].sum(), i))
        assert found[user].tolist() == expected


def test_an_old_habit_falls_behind_a_new_one_but_never_behind_what_was_never_done():
    counts = sp.csr_matrix(np.array([[4.0, 3, 0], [0, 0, 9]]))
    newest = sp.csr_matrix(np.array([[1.0, 100, 0], [0, 0, 100]]))
    train = Interactions(counts, newest, 100.0)
    assert fitted(train).recommend(np.array([0]), 3, False)[0].tolist() == [[0, 1, 2]]
    for days in (30.0, 0.01):  # 9,900 half-lives: the count is as good as gone
        assert fitted(train, half_life_days=days).recommend(np.array([0]), 3, False)[0].tolist() == [[1, 0, 2]]
