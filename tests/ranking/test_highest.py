"""The best of each row against sorting all of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ranking.highest import highest


def sorted_fully(row, n):
    left = [i for i in range(len(row)) if row[i] > -np.inf]
    return sorted(left, key=lambda i: (-row[i], i))[:n]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 700), st.integers(0, 30), st.integers(1, 40), st.booleans())
def test_highest_equals_sorting_every_row(seed, items, n, levels, single):
    rng = np.random.default_rng(seed)
    scores = rng.integers(levels, size=(4, items)).astype(np.float32 if single else np.float64)  # many ties
    scores[rng.random((4, items)) < 0.2] = np.nan
    scores[rng.random((4, items)) < 0.2] = -np.inf
    before = scores.copy()
    found, values = highest(scores, n)
    np.testing.assert_array_equal(scores, before)
    for at, row in enumerate(scores):
        expected = sorted_fully(row, n)
        missing = min(n, items) - len(expected)
        np.testing.assert_array_equal(found[at], expected + [-1] * missing)
        np.testing.assert_array_equal(values[at], [*row[expected], *[np.nan] * missing])


@pytest.mark.parametrize("seed", range(5))
def test_long_rows_without_ties_and_with_a_crowd_of_zeros(seed):
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((6, 20_000)).astype(np.float32)
    scores[3:] = np.where(rng.random((3, 20_000)) < 2e-4, scores[3:], 0)  # a handful above zero
    scores[5] = 0
    found, _ = highest(scores, 10)
    np.testing.assert_array_equal(found, [sorted_fully(row, 10) for row in scores])


def test_nothing_to_choose_from():
    assert highest(np.zeros((3, 0)), 5)[0].shape == (3, 0)
    assert highest(np.zeros((0, 4)), 5)[0].shape == (0, 4)
    assert (highest(np.full((1, 4), np.nan), 2)[0] == -1).all()
