"""Popularity recommenders against a slow rewrite, and against the metric that follows the same protocol."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.interactions import Interactions
from tasks.metrics.heldout_lift import heldout_lift
from tasks.recommenders import global_popularity, segment_popularity
from tasks.recommenders._fitted import Fitted, Grouped
from tests.helpers.histories import histories


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 20), st.integers(1, 12), st.booleans())
def test_ranked_equals_sorting_every_user(seed, groups, items, n, exclude_seen):
    rng = np.random.default_rng(seed)
    scores = rng.integers(4, size=(groups, items)).astype(float)  # many ties
    scores[rng.random((groups, items)) < 0.1] = -np.inf
    scores[rng.random((groups, items)) < 0.1] = np.nan
    seen = sp.csr_matrix((rng.random((9, items)) < 0.4).astype(float))
    group = rng.integers(groups, size=9)
    labels = np.where(group == groups - 1, -1, group)
    found, values = Grouped(scores, histories(seen), labels).recommend(np.arange(9), n, exclude_seen)
    for user in range(9):
        left = [i for i in range(items) if scores[group[user], i] > -np.inf and not (exclude_seen and seen[user, i])]
        expected = sorted(left, key=lambda i: (-scores[group[user], i], i))[:n]
        np.testing.assert_array_equal(found[user], expected + [-1] * (n - len(expected)))
        np.testing.assert_array_equal(values[user, : len(expected)], scores[group[user], expected])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 3), st.integers(1, 12), st.integers(1, 20), st.booleans())
def test_one_ranking_per_segment_recommends_what_scoring_every_user_would(seed, k, items, n, exclude_seen):
    """Also of scores that recommend nothing, of labels that the fit did not know, and of users asked for twice."""
    rng = np.random.default_rng(seed)
    scores = rng.choice([0.0, 1.0, 2.0, np.nan, -np.inf], size=(k + 1, items))
    seen = sp.csr_matrix((rng.random((9, items)) < rng.random()).astype(float))
    fitted = Grouped(scores, histories(seen), rng.integers(-1, k + 2, 9))
    users = rng.integers(9, size=rng.integers(12))
    for found, expected in zip(
        fitted.recommend(users, n, exclude_seen), Fitted.recommend(fitted, users, n, exclude_seen), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_agrees_with_the_held_out_protocol():
    rng = np.random.default_rng(0)
    train = sp.csr_matrix(rng.poisson(0.3, size=(80, 50)).astype(float))
    test = sp.csr_matrix((rng.random((80, 50)) < 0.1).astype(float))
    labels = rng.integers(-1, 4, size=80)
    expected = heldout_lift(train, test, labels, rng=rng).numbers
    for module, name in ((segment_popularity, "precision"), (global_popularity, "global_precision")):
        items, _ = module.fit(histories(train), None, labels, module.Config(), rng).recommend(np.arange(80), 10)
        assert np.isclose(test.toarray()[np.arange(80)[:, None], items].mean(), expected[name])


def test_scores_by_hand():
    matrix = sp.csr_matrix(np.array([[2.0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1]]))
    config = segment_popularity.Config(prior_weight=0.5)
    fitted = segment_popularity.fit(histories(matrix), None, np.array([0, 0, 1, -1]), config, np.random.default_rng(0))
    np.testing.assert_allclose(fitted.by_group[0], [1 + 0.25, 0.5 + 0.25, 0.25])
    np.testing.assert_allclose(fitted.by_group[1], [0.25, 1.25, 1.25])
    np.testing.assert_allclose(fitted.by_group[2], [0.5, 0.5, 0.5])  # users without a segment


def test_popularity_of_the_last_days_and_with_age_by_hand():
    counts = sp.csr_matrix(np.array([[2.0, 1, 0], [0, 1, 4]]))
    newest = sp.csr_matrix(np.array([[10.0, 8, 0], [0, 10, 4]]))
    train = Interactions(counts, newest, 10.0)

    def scores(module, **parameters):
        return module.fit(
            train, None, np.array([0, -1]), module.Config(**parameters), np.random.default_rng(0)
        ).by_group

    np.testing.assert_allclose(scores(global_popularity, days=2.0), [[1, 1, 0]] * 2)
    np.testing.assert_allclose(scores(global_popularity, days=1.9), [[1, 0.5, 0]] * 2)
    aged = np.array([2.0, 0.5 + 1, 4 / 8]) / 2
    np.testing.assert_allclose(scores(global_popularity, half_life_days=2.0), [aged] * 2)
    own = np.array([2.0, 0.5, 0])
    np.testing.assert_allclose(scores(segment_popularity, half_life_days=2.0), [own + 0.3 * aged, aged])
    np.testing.assert_allclose(
        scores(segment_popularity, half_life_days=2.0, strength=3.0), [(own + 3 * aged) / 4, aged]
    )


def test_a_prior_of_members_weighs_less_in_a_large_segment_and_alone_in_an_empty_one():
    rng = np.random.default_rng(0)
    X = rng.poisson(1.0, size=(60, 7)).astype(float)
    labels = np.repeat([0, 2], [50, 10])
    config = segment_popularity.Config(strength=20.0)
    found = segment_popularity.fit(histories(X), None, labels, config, rng).by_group
    common = X.mean(axis=0)
    for label in (0, 1, 2):
        members = X[labels == label]
        np.testing.assert_allclose(found[label], (members.sum(axis=0) + 20 * common) / (len(members) + 20))
    none = segment_popularity.fit(histories(X), None, labels, segment_popularity.Config(strength=0.0), rng).by_group
    np.testing.assert_allclose(none[1], common)
