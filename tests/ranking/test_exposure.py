"""What lists show of a catalogue, against pairs counted one by one."""

from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ranking.exposure import coverage, diversity, gini, in_head, longtail, novelty, unit_rows


def lists(rng, m=9, n=5, items=12):
    """Distinct items per list, some lists short and one empty."""
    chosen = np.array([rng.permutation(items)[:n] for _ in range(m)])
    chosen[np.arange(n) >= rng.integers(1, n + 1, size=(m, 1))] = -1
    chosen[0] = -1
    return chosen


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 40))
def test_gini_is_the_mean_difference_over_twice_the_mean(seed, items, shown):
    chosen = np.random.default_rng(seed).integers(items, size=(shown, 1))
    times = np.bincount(chosen[:, 0], minlength=items)
    gap = np.abs(times[:, None] - times[None, :]).mean()  # Gini's own definition, over all ordered pairs
    assert gini(chosen, items) == pytest.approx(gap / (2 * times.mean()))


def test_gini_and_coverage_by_hand():
    assert gini(np.array([[0, 1], [2, 3]]), 4) == 0
    assert gini(np.array([[0], [0]]), 4) == pytest.approx(0.75)  # (N − 1) / N
    assert np.isnan(gini(np.array([[-1]]), 4))
    assert coverage(np.array([[0, 1, -1], [1, 2, -1]]), 10) == pytest.approx(0.3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_diversity_is_the_mean_over_all_pairs(seed, sparse):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(12, 4)) * (rng.random((12, 1)) < 0.8)  # some items have none
    if sparse:
        vectors = (vectors > 0.3).astype(float)
    chosen = lists(rng)
    found = diversity(chosen, sp.csr_matrix(vectors) if sparse else vectors)
    for user, row in enumerate(chosen):
        known = [vectors[i] / np.linalg.norm(vectors[i]) for i in row if i >= 0 and vectors[i].any()]
        apart = [1 - a @ b for a, b in combinations(known, 2)]
        np.testing.assert_allclose(found[user], np.mean(apart) if apart else np.nan, atol=1e-9)
    assert np.isnan(diversity(chosen, None)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_novelty_and_long_tail_are_means_over_the_list(seed):
    rng = np.random.default_rng(seed)
    train = sp.csr_matrix(rng.poisson(0.5, size=(20, 12)) * (np.arange(12) > 1))  # two that nobody touched
    chosen, head = lists(rng), in_head(train)
    found, tail = novelty(chosen, train), longtail(chosen, train)
    users = np.maximum((train.toarray() > 0).sum(axis=0), 1)
    for user, row in enumerate(chosen):
        own = [i for i in row if i >= 0]
        np.testing.assert_allclose(found[user], np.mean(-np.log2(users[own] / 20)) if own else np.nan)
        np.testing.assert_allclose(tail[user], np.mean([not head[i] for i in own]) if own else np.nan)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 1.0))
def test_no_smaller_set_holds_as_much_as_the_head(seed, share):
    counts = np.random.default_rng(seed).integers(0, 5, size=7)
    counts[0] += 1
    head = in_head(sp.csr_matrix(counts[None, :]), share)
    wanted = share * counts.sum() * (1 - 1e-12)
    assert counts[head].sum() >= wanted
    smaller = combinations(range(7), int(head.sum()) - 1)
    assert not any(counts[list(one)].sum() >= share * counts.sum() for one in smaller)


def test_the_long_tail_by_hand():
    train = sp.csr_matrix(np.array([[50, 30, 15, 5, 0]]))
    assert in_head(train).tolist() == [True, True, False, False, False]
    assert longtail(np.array([[0, 2, 4, -1]]), train) == pytest.approx([2 / 3])


def test_rows_of_zeros_stay():
    for rows in (np.array([[3.0, 4.0], [0, 0]]), sp.csr_matrix([[3.0, 4.0], [0, 0]])):
        found = unit_rows(rows)
        np.testing.assert_allclose(found.toarray() if sp.issparse(found) else found, [[0.6, 0.8], [0, 0]])
