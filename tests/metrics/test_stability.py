"""Stability and agreement against scikit-learn, and on refits whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from schemas.errors import DataError
from tasks.metrics._labels import encode
from tasks.metrics.agreement import agreement
from tasks.metrics.stability import adjusted_rand, contingency, stability


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 3)), min_size=1, max_size=60))
def test_adjusted_rand_equals_scikit_learn_without_noise(pairs):
    a, b = np.array(pairs).T
    both = (a >= 0) & (b >= 0)
    found = adjusted_rand(contingency(encode(a), encode(b)))
    expected = oracle.adjusted_rand_score(a[both], b[both]) if both.any() else 0.0
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_refit_that_only_renumbers_is_perfectly_stable():
    labels = np.random.default_rng(0).integers(5, size=300)
    found = stability(labels, lambda rows, seed: (labels + seed) % 5, 6, np.random.default_rng(0))
    assert found.mean == 1.0
    assert found.interval == (1.0, 1.0)
    np.testing.assert_array_equal(found.jaccard, 1.0)


def test_random_refits_are_not_stable_and_the_interval_says_so():
    labels = np.random.default_rng(0).integers(5, size=2000)
    found = stability(labels, lambda rows, s: np.random.default_rng(s).integers(5, size=2000), 12,
                      np.random.default_rng(0))  # fmt: skip
    assert abs(found.mean) < 0.01
    low, high = found.interval
    assert high - low < 0.01
    assert abs(found.mean) < high - low  # about four standard errors


def test_only_the_segment_that_falls_apart_loses_overlap():
    labels = np.repeat([0, 1, 2], 100)
    broken = labels.copy()
    broken[200:250] = 7
    found = stability(labels, lambda rows, seed: broken, 3, np.random.default_rng(0))
    np.testing.assert_allclose(found.jaccard, [1.0, 1.0, 0.5])


def test_refits_see_bootstrap_samples_with_seeds_of_their_own():
    seen = []
    labels = np.repeat([0, 1], 50)
    stability(labels, lambda rows, seed: seen.append((rows, seed)) or labels, 4, np.random.default_rng(3))
    assert len({seed for _, seed in seen}) == 4
    for rows, _ in seen:
        assert len(rows) == 100
        assert 50 < len(np.unique(rows)) < 80  # about 63 % of the users


def test_a_refit_that_calls_all_noise_counts_zero():
    found = stability(np.repeat([0, 1], 9), lambda rows, seed: np.full(18, -1), 2, np.random.default_rng(0))
    assert found.mean == 0.0
    np.testing.assert_array_equal(found.jaccard, 0.0)
    np.testing.assert_array_equal(found.noise, 1.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=60))
def test_agreement_equals_scikit_learn(pairs):
    truth, labels = np.array(pairs).T
    found = agreement(truth, labels)
    assert found.adjusted_rand == pytest.approx(oracle.adjusted_rand_score(truth, labels))
    assert found.mutual_information == pytest.approx(oracle.normalized_mutual_info_score(truth, labels))
    assert found.v_measure == pytest.approx(oracle.v_measure_score(truth, labels))
    assert 0 < found.accuracy <= 1
    assert 0 <= found.macro_f1 <= 1


def test_matching_by_hand():
    truth = np.array([0, 0, 0, 1, 1, 2, -1, 2])
    labels = np.array([7, 7, 3, 3, 3, 5, 5, -1])
    found = agreement(truth, labels)  # 7 is 0, 3 is 1, 5 is 2: 5 of the 6 users with both
    assert found.accuracy == pytest.approx(5 / 6)
    assert found.macro_f1 == pytest.approx(np.mean([4 / 5, 4 / 5, 1.0]))
    renumbered = agreement(truth, np.where(labels < 0, -1, 10 - labels))
    assert renumbered == found


def test_fewer_segments_than_labels_cost_the_unmatched_label():
    found = agreement(np.array([0, 0, 1, 1]), np.zeros(4, int))
    assert found.accuracy == 0.5
    assert found.macro_f1 == pytest.approx((2 * 2 / 6) / 2)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="no user"):
        agreement(np.array([-1, 0]), np.array([0, -1]))
    with pytest.raises(DataError, match="align"):
        agreement(np.zeros(3), np.zeros(4))
