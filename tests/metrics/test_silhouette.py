"""Silhouette against scikit-learn, over buckets, and where it has no value."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn import metrics as oracle

from schemas.config import EvaluateConfig
from schemas.errors import DataError
from schemas.evaluation import EvaluationContext
from tasks.metrics.silhouette import (
    compute,
    merge,
    partial_sums,
    silhouette,
    silhouette_from_sums,
    silhouette_sampled,
    silhouette_samples,
)

METRICS = ("cosine", "sqeuclidean", "euclidean")


def random_case(seed, n, d, k):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.uniform(0.1, 10) + rng.normal(size=d) * 10
    labels = rng.integers(k, size=n)
    labels[:2] = 0, 1  # two segments at least
    return X, labels


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 120), st.integers(1, 12), st.integers(2, 6), st.sampled_from(METRICS))
def test_equals_scikit_learn(seed, n, d, k, metric):
    X, labels = random_case(seed, n, d, min(k, n - 2))
    X[-1] = 0.0
    if len(np.unique(labels)) == n:
        return
    expected = oracle.silhouette_samples(X, labels, metric=metric)
    np.testing.assert_allclose(silhouette_samples(X, labels, metric), expected, atol=1e-9)
    assert silhouette(X, labels, metric) == pytest.approx(expected.mean(), abs=1e-9)


@pytest.mark.parametrize("far", [1e5, 1e8])
@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean"])
def test_a_few_users_far_away_blur_nobody_else(metric, far):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(80, 4)), rng.normal(size=(80, 4)) + 3, rng.normal(size=(40, 4)) + far])
    labels = np.repeat([0, 1, 2], [80, 80, 40])
    expected = oracle.silhouette_samples(cdist(X, X, metric), labels, metric="precomputed")
    lazy = () if metric == "euclidean" else (da.from_array(X, chunks=(70, 4)),)
    for given_ in (X, *lazy):
        np.testing.assert_allclose(silhouette_samples(given_, labels, metric)[:160], expected[:160], atol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_noise_is_left_out(metric):
    X, labels = random_case(0, 90, 5, 4)
    labels[::7] = -1
    kept = labels >= 0
    samples = silhouette_samples(X, labels, metric)
    np.testing.assert_array_equal(np.isnan(samples), ~kept)
    expected = oracle.silhouette_samples(X[kept], labels[kept], metric=metric)
    np.testing.assert_allclose(samples[kept], expected, atol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("labels", [[0, 0, 0], [-1, -1, -1], [5, -1, 5]])
def test_one_segment_or_none_has_no_value(metric, labels):
    assert np.isnan(silhouette(np.eye(3), np.array(labels), metric))


@pytest.mark.parametrize("metric", METRICS)
def test_degenerate_vectors(metric):
    assert silhouette(np.full((6, 3), 1 / 3), np.array([0, 0, 0, 1, 1, 1]), metric) == 0.0  # identical
    assert silhouette(np.eye(4), np.arange(4), metric) == 0.0  # singletons
    column = np.array([[1.0], [1.1], [9.0], [9.2]])
    if metric != "cosine":  # in one dimension all cosines are 1
        assert silhouette(column, np.array([0, 0, 7, 7]), metric) > 0.9


@pytest.mark.parametrize("metric", ["cosine", "sqeuclidean"])
def test_sums_over_buckets_equal_the_whole(metric):
    X, labels = random_case(3, 200, 6, 5)
    labels[::9] = -1
    origin = X[0]
    parts = [slice(0, 30), slice(30, 31), slice(31, 200)]
    a, b, c = (partial_sums(X[part], labels[part], 5, metric, origin) for part in parts)
    total = merge(merge(a, b), c)
    again = merge(c, merge(b, a))
    np.testing.assert_allclose(total.sums, again.sums, rtol=1e-12, atol=1e-9)
    found = np.concatenate([silhouette_from_sums(X[part], labels[part], total, metric) for part in parts])
    np.testing.assert_allclose(found, silhouette_samples(X, labels, metric), atol=1e-9)


def test_sums_of_two_origins_are_refused():
    X, labels = random_case(3, 20, 2, 2)
    with pytest.raises(DataError, match="origin"):
        merge(*(partial_sums(X, labels, 2, "sqeuclidean", origin) for origin in (X[0], X[1])))


def test_dask_array_equals_ndarray():
    da = pytest.importorskip("dask.array")
    X, labels = random_case(5, 300, 6, 4)
    labels[::10] = -1
    blocks = da.from_array(X, chunks=(70, 3))
    for metric in ("cosine", "sqeuclidean"):
        np.testing.assert_allclose(
            silhouette_samples(blocks, labels, metric), silhouette_samples(X, labels, metric), atol=1e-9
        )
    with pytest.raises(DataError, match="all pairs"):
        silhouette(blocks, labels, "euclidean")


def test_far_from_the_origin_nothing_is_lost():
    X, labels = random_case(7, 150, 4, 3)
    assert silhouette(X + 1e6, labels, "sqeuclidean") == pytest.approx(silhouette(X, labels, "sqeuclidean"), abs=1e-8)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_is_refused_with_the_column(metric, bad):
    X, labels = random_case(1, 20, 4, 3)
    X[7, 2] = bad
    with pytest.raises(DataError, match="column 2"):
        silhouette(X, labels, metric)


def test_misaligned_labels_are_refused():
    with pytest.raises(DataError, match="labels"):
        silhouette(np.eye(4), np.zeros(3, int))
    with pytest.raises(DataError, match="unknown"):
        silhouette(np.eye(4), np.array([0, 0, 1, 1]), "hamming")


def test_sample_covers_the_exact_value():
    rng = np.random.default_rng(0)
    labels = rng.integers(5, size=3000)
    X = rng.normal(size=(3000, 6)) + np.eye(6)[labels] * 3
    exact = silhouette(X, labels, "euclidean")
    found = [silhouette_sampled(X, labels, 300, np.random.default_rng(seed)) for seed in range(20)]
    inside = [abs(value - exact) <= 2.6 * error for value, error in found]
    assert sum(inside) >= 18
    spread = np.std([value for value, _ in found])
    assert 0.5 < spread / np.mean([error for _, error in found]) < 1.6
    assert silhouette_sampled(X, labels, 3000, rng) == (pytest.approx(exact, abs=1e-12), 0.0)


def test_torch_blocks_agree():
    pytest.importorskip("torch")
    from tasks.metrics import _pairs

    X, labels = random_case(2, 400, 8, 5)
    counts = np.bincount(labels)
    order = np.argsort(labels, kind="stable")
    here = _pairs._totals_cpu(X, order, counts, np.arange(400))
    there = _pairs._totals_torch(X, order, counts, np.arange(400), "cpu")
    np.testing.assert_allclose(there, here, rtol=1e-4)


@pytest.mark.parametrize("space", ["cosine", "euclidean"])
def test_compute_says_what_it_measured(space):
    X, labels = random_case(4, 200, 5, 3)
    labels[:20] = -1
    context = EvaluationContext(X.astype(np.float32), labels, space, seed=3)
    found = compute(context, EvaluateConfig())
    kept = labels >= 0
    assert found.value == pytest.approx(oracle.silhouette_score(X[kept], labels[kept], metric=space), abs=1e-5)
    assert (found.n, found.space, found.noise_share, found.sampled) == (180, space, 0.1, False)
    assert set(found.details["segments"]) == {"0", "1", "2"}
    assert {"cosine", "sqeuclidean"} <= set(found.details)


def test_compute_samples_above_the_limit_and_says_so():
    X, labels = random_case(4, 400, 5, 3)
    found = compute(EvaluationContext(X, labels, "euclidean", seed=3), EvaluateConfig(silhouette_sample=200))
    assert found.sampled
    assert found.details["sample"] == 200
    low, high = found.interval
    assert low < silhouette(X, labels, "euclidean") < high


def test_compute_is_missing_with_one_segment():
    found = compute(EvaluationContext(np.eye(3), np.zeros(3, int), "cosine", seed=0), EvaluateConfig())
    assert found.value is None
    assert "two segments" in found.reason


def test_one_extreme_outlier_spoils_nobody_else():
    X, labels = random_case(6, 300, 4, 3)
    with_outlier = np.vstack([X, np.full((1, 4), 1e6 * X.std())])
    samples = silhouette_samples(with_outlier, np.append(labels, 3), "sqeuclidean")
    assert samples[-1] == 0.0  # a segment of its own is a singleton, and scores nothing
    np.testing.assert_allclose(samples[:-1], silhouette_samples(X, labels, "sqeuclidean"), atol=1e-3)


@pytest.mark.parametrize("metric", METRICS)
def test_the_row_that_is_refused_is_the_callers(metric):
    X, labels = random_case(1, 60, 4, 3)
    labels[:10] = -1
    X[40, 2] = np.nan
    with pytest.raises(DataError, match=r"column 2 .* row 40"):
        silhouette(X, labels, metric)
