"""Weights of a history by time, against a slow rewrite."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.interactions import Interactions
from tasks.numerics.interactions import decayed, recency


def drawn(seed):
    rng = np.random.default_rng(seed)
    counts = sp.csr_matrix(rng.poisson(0.7, size=(6, 9)).astype(np.float32))
    newest = counts.astype(np.float64)
    newest.data = rng.integers(1, 6, size=newest.nnz).astype(float)  # many equal times
    return Interactions(counts, newest, 7.0)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 0.2, 1.0, 3.0]))
def test_recency_halves_by_place_in_the_users_own_history(seed, half_life):
    train, expected = drawn(seed), []
    for user in range(6):
        own = train.newest[user]
        order = sorted(range(own.nnz), key=lambda at: (own.data[at], own.indices[at]))
        newer = {at: own.nnz - 1 - place for place, at in enumerate(order)}
        expected += [0.5 ** (newer[at] / (half_life * own.nnz)) for at in range(own.nnz)]
    np.testing.assert_allclose(recency(train, half_life), expected)
    assert (recency(train, None) == 1).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 2.0, 30.0]))
def test_counts_decay_by_days(seed, half_life):
    train = drawn(seed)
    present = train.newest.toarray() > 0
    expected = train.counts.toarray() * 0.5 ** ((7.0 - train.newest.toarray()) / half_life) * present
    np.testing.assert_allclose(decayed(train, half_life).toarray(), expected)
    assert (decayed(train, None) != train.counts).nnz == 0


def test_an_ancient_count_stays_above_nothing():
    train = drawn(0)
    ancient = Interactions(train.counts, train.newest, 1e6)
    assert (decayed(ancient, 1e-3).data > 0).all()
