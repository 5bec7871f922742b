"""Sum of squares, Davies-Bouldin, Calinski-Harabasz, balance and noise against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle
from sklearn.cluster import KMeans

from schemas.errors import DataError
from tasks.metrics.balance import balance, gini
from tasks.metrics.calinski_harabasz import calinski_harabasz
from tasks.metrics.davies_bouldin import davies_bouldin
from tasks.metrics.noise_share import noise_share
from tasks.metrics.wcss import intra_distance, radius, wcss


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(14, 150), st.integers(1, 10), st.integers(2, 6))
def test_indices_equal_scikit_learn(seed, n, d, k):
    rng = np.random.default_rng(seed)
    X, labels = rng.normal(size=(n, d)) * rng.uniform(0.1, 10) + rng.normal(size=d), rng.integers(-1, k, size=n)
    labels[: 2 * k] = np.tile(np.arange(k), 2)  # scikit-learn puts a singleton 1e-8 away from itself: see below
    kept = labels >= 0
    expected = oracle.davies_bouldin_score(X[kept], labels[kept])
    assert davies_bouldin(X, labels) == pytest.approx(expected, rel=1e-9)
    expected = oracle.calinski_harabasz_score(X[kept], labels[kept])
    assert calinski_harabasz(X, labels) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_sum_of_squares_equals_inertia(shift):
    X = np.random.default_rng(0).normal(size=(500, 6)) + shift
    fitted = KMeans(7, n_init=1, random_state=0, tol=0).fit(X)
    assert wcss(X, fitted.labels_) == pytest.approx(fitted.inertia_, rel=1e-6)
    assert wcss(X.astype(np.float32), fitted.labels_) == pytest.approx(fitted.inertia_, rel=1e-3)


def test_distances_and_radii_by_hand():
    X, labels = np.array([[0.0, 0], [2, 0], [10, 0], [10, 6], [10, 3], [99, 99]]), np.array([4, 4, 9, 9, 9, -1])
    assert wcss(X, labels) == pytest.approx(2 + 18)
    assert intra_distance(X, labels) == pytest.approx((1 + 1 + 3 + 3 + 0) / 5)
    np.testing.assert_allclose(radius(X, labels), [1, 3])


@pytest.mark.parametrize("kernel", [davies_bouldin, calinski_harabasz])
@pytest.mark.parametrize("labels", [[0, 0, 0], [-1, -1, -1]])
def test_one_segment_or_none_has_no_index(kernel, labels):
    assert np.isnan(kernel(np.eye(3), np.array(labels)))


def test_a_singleton_has_no_spread():
    X = np.random.default_rng(0).normal(size=(3, 10)) * 100
    labels = np.array([0, 0, 1])
    apart, spread = np.linalg.norm(X[:2].mean(axis=0) - X[2]), np.linalg.norm(X[0] - X[1]) / 2
    assert davies_bouldin(X, labels) == pytest.approx(spread / apart, rel=1e-14)


def test_degenerate_as_in_scikit_learn():
    X, labels = np.repeat([[0.0, 0], [1, 1]], 3, axis=0), np.repeat([0, 1], 3)
    assert davies_bouldin(X, labels) == oracle.davies_bouldin_score(X, labels) == 0.0
    assert calinski_harabasz(X, labels) == oracle.calinski_harabasz_score(X, labels) == 1.0
    assert davies_bouldin(X * 0, labels) == 0.0
    assert np.isnan(calinski_harabasz(np.eye(3), np.arange(3)))
    assert np.isnan(wcss(np.eye(3), np.full(3, -1)))


@pytest.mark.parametrize("kernel", [wcss, davies_bouldin, calinski_harabasz])
def test_non_finite_is_refused_with_the_column(kernel):
    X = np.eye(4)
    X[2, 3] = np.nan
    with pytest.raises(DataError, match="column 3 is NaN or infinite in row 2"):
        kernel(X, np.array([0, 0, 1, 1]))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_gini_is_the_mean_absolute_difference(sizes):
    values = np.array(sizes, float)
    expected = np.abs(values[:, None] - values).mean() / (2 * values.mean())
    assert gini(values) == pytest.approx(expected, abs=1e-12)
    assert balance(np.repeat(np.arange(len(sizes)), sizes)) == pytest.approx(1 - expected)


def test_balance_and_noise_by_hand():
    assert balance(np.array([0, 0, 5, 5, -1, -1, -1])) == 1.0
    assert np.isnan(balance(np.array([-1, -1])))
    assert noise_share(np.array([0, -1, 3, -1])) == 0.5
    assert np.isnan(noise_share(np.array([], int)))
