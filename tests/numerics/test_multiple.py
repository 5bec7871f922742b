"""Many comparisons: the share of false discoveries, p-values on data without a difference, and verdicts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import false_discovery_control, ttest_1samp

from tasks.numerics.multiple import benjamini_hochberg, compare, verdict


@given(arrays(np.float64, st.integers(1, 40), elements=st.sampled_from([0.0, 0.001, 0.01, 0.04, 0.3, 1.0])))
def test_adjusted_p_values_are_scipys(p):
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p))


def test_adjusted_p_values_keep_their_shape():
    p = np.random.default_rng(0).random((4, 5))
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p.ravel()).reshape(4, 5))
    assert benjamini_hochberg(np.zeros(0)).shape == (0,)


def test_intervals_and_p_values_are_near_those_of_the_t_test():
    rng = np.random.default_rng(1)
    gaps = rng.normal([0.0, 0.05, 0.1, -0.15], 1.0, size=(800, 4))
    gaps[rng.random((800, 4)) < 0.2] = np.nan  # users without a figure
    found = compare(gaps, 4000, rng)
    theirs = ttest_1samp(gaps, 0, nan_policy="omit")
    np.testing.assert_allclose(found.value, np.nanmean(gaps, axis=0))
    np.testing.assert_allclose(found.p, np.maximum(theirs.pvalue, 2 / 4001), atol=0.02)
    np.testing.assert_allclose([found.low, found.high], list(theirs.confidence_interval()), atol=0.006)
    assert found.n.tolist() == (~np.isnan(gaps)).sum(axis=0).tolist()


def test_without_a_difference_one_in_twenty_p_values_is_below_one_in_twenty():
    rng = np.random.default_rng(2)
    found = compare(rng.normal(size=(300, 1500)), 400, rng)  # shared resamples, independent columns
    for alpha in (0.02, 0.05, 0.2):
        assert (found.p <= alpha).mean() == pytest.approx(alpha, abs=0.02)
    verdicts = [verdict(*one) for one in zip(found.low, found.high, benjamini_hochberg(found.p), strict=True)]
    assert set(verdicts) == {"no evidence"}


def test_what_differs_is_told_from_what_does_not():
    rng = np.random.default_rng(3)
    planted = np.array([0.3] * 5 + [0.0] * 20 + [-0.3] * 5)
    found = compare(rng.normal(planted, 1.0, size=(1000, 30)), 2000, rng)
    verdicts = [verdict(*one) for one in zip(found.low, found.high, benjamini_hochberg(found.p), strict=True)]
    assert verdicts == ["helps"] * 5 + ["no evidence"] * 20 + ["hurts"] * 5


def test_p_values_have_the_plus_one_and_few_who_agree_are_no_evidence():
    rng = np.random.default_rng(4)
    assert compare(np.full((50, 1), 0.5), 199, rng).p == pytest.approx([2 / 200])
    assert compare(np.zeros((50, 1)), 199, rng).p == [1.0]
    assert compare(np.full((1, 1), 0.5), 199, rng).p == [1.0]
    assert compare(np.full((4, 1), 0.5), 999, rng).p == [0.125]  # 2 · 0.5^4, the sign test's


def test_segments_are_compared_among_themselves_and_an_empty_one_says_nothing():
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1, 3, -1], 200)
    gaps = rng.normal(0, 1, size=(800, 2)) + np.where(labels == 0, 0.5, np.where(labels == 1, -0.5, 0.0))[:, None]
    found = [compare(gaps[labels == segment], 500, rng) for segment in range(4)]
    for segment in (0, 1, 3):
        np.testing.assert_allclose(found[segment].value, gaps[labels == segment].mean(axis=0))
    assert np.isnan(found[2].value).all()
    assert np.isnan(found[2].low).all()
    adjusted = benjamini_hochberg(np.array([one.p for one in found]))
    told = [verdict(one.low[0], one.high[0], adjusted[i, 0]) for i, one in enumerate(found)]
    assert told == ["helps", "hurts", "no evidence", "no evidence"]


def test_thirty_comparisons_of_thirty_thousand_users_are_those_of_the_normal_theory(monkeypatch):
    """Resamples are held a part at a time: more of them than one part holds, and whatever it holds."""
    gaps = np.random.default_rng(6).normal(np.linspace(-0.05, 0.05, 30), size=(32_000, 30))
    found = compare(gaps, 300, np.random.default_rng(7))
    np.testing.assert_allclose(found.value, gaps.mean(axis=0))
    error = gaps.std(axis=0) / np.sqrt(len(gaps))
    for end, sign in ((found.low, -1), (found.high, 1)):
        np.testing.assert_allclose((end - found.value) / error, sign * 1.96, atol=0.7)  # a quantile of 300 draws
    monkeypatch.setattr("tasks.numerics.multiple._CHUNK_VALUES", 32_000 * 70)
    again = compare(gaps, 300, np.random.default_rng(7))
    np.testing.assert_allclose(again.low, found.low, atol=1e-12)
    np.testing.assert_allclose(again.high, found.high, atol=1e-12)
