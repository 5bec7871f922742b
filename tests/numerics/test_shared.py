"""Arithmetic that several nouns share, against an oracle each."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import median_abs_deviation, skew

from tasks.numerics.communities import communities
from tasks.numerics.groups import canonical, means
from tasks.numerics.keys import splitmix64
from tasks.numerics.popularity import group_scores
from tasks.numerics.robust import center_and_spread, is_skewed

labels_of = arrays(np.int64, st.integers(1, 30), elements=st.integers(-1, 4))


@given(arrays(np.float64, st.integers(3, 40), elements=st.floats(-1e6, 1e6, width=32)))
def test_center_and_spread_are_median_and_scaled_deviation(values):
    center, spread = center_and_spread(values)
    theirs = median_abs_deviation(values) * 1.4826
    assert center == np.median(values)
    if theirs > 1e-3:
        assert spread == pytest.approx(theirs)


def test_a_spread_of_equal_values_is_zero_and_of_mostly_equal_ones_the_standard_deviation():
    assert center_and_spread(np.full(9, 0.1)) == (0.1, 0.0)
    assert center_and_spread(np.zeros(0)) == (0.0, 0.0)
    mostly = np.array([1.0] * 8 + [5.0])
    assert center_and_spread(mostly) == (1.0, pytest.approx(mostly.std()))


@pytest.mark.parametrize("limit", [0.5, 2.0, 4.0])
def test_skewness_is_scipys(limit):
    for values in np.random.default_rng(0).gamma([0.2, 1.0, 3.0, 9.0], size=(500, 4)).T:
        assert is_skewed(values, limit) == (skew(values) > limit)
    assert not is_skewed(np.array([-1.0, 0.0, 900.0]), limit)


def test_splitmix64_is_the_papers():
    gamma = np.uint64(0x9E3779B97F4A7C15)
    states = np.array([0, gamma, 1234567], np.uint64)
    assert splitmix64(states).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 6457827717110365317]


@given(labels_of)
def test_groups_are_numbered_by_size_and_then_by_first_row(labels):
    new, order = canonical(labels)
    names = [one for one in dict.fromkeys(labels.tolist()) if one >= 0]
    names.sort(key=lambda one: -int((labels == one).sum()))  # stable: ties stay in order of their first rows
    assert order.tolist() == names
    assert new.tolist() == [names.index(one) if one >= 0 else -1 for one in labels.tolist()]


@given(labels_of)
def test_means_are_those_of_each_group_alone(labels):
    X = np.random.default_rng(1).normal(size=(len(labels), 3)).astype(np.float32)
    found = means(X, labels, 6, empty=np.nan)
    for one in range(6):
        mine = X[labels == one].astype(np.float64)
        expected = mine.mean(axis=0) if len(mine) else np.full(3, np.nan)
        assert np.allclose(found[one], expected, equal_nan=True)
    assert not means(X, labels, 6)[5].any()


def test_scores_of_a_group_are_its_rate_and_a_share_of_everybodys():
    rng = np.random.default_rng(2)
    counts, labels = rng.poisson(0.6, size=(12, 5)).astype(float), np.array([0, 0, 1, 1, 1, 3, 3, -1, -1, 0, 1, 3])
    found = group_scores(sp.csr_matrix(counts), labels, 4, 0.3)
    common = counts.sum(axis=0) / 12
    for one in (0, 1, 3):
        assert np.allclose(found[one], counts[labels == one].mean(axis=0) + 0.3 * common)
    assert np.allclose(found[2], 0.3 * common)  # nobody is in it
    assert np.allclose(found[4], common)


@pytest.mark.parametrize("method", ["louvain", "leiden"])
def test_cliques_that_barely_touch_are_communities(method):
    if method == "leiden":
        pytest.importorskip("leidenalg")
    links = sp.block_diag([np.ones((n, n)) - np.eye(n) for n in (4, 7, 5)]).tolil()
    links[0, 5] = links[5, 0] = 0.1
    assert communities(links.tocsr(), method, 1.0, 0).tolist() == [2] * 4 + [0] * 7 + [1] * 5
