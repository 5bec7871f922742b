"""Held-out lift: slices of time, rankings against a slow rewrite, and the published numbers on MovieLens-100K."""

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import tables as t
from schemas.config import EvaluateConfig
from schemas.errors import DataError
from schemas.evaluation import EvaluationContext, HeldOut
from tasks.metrics._lift import intervals_of
from tasks.metrics.heldout_lift import Resampling, compute, heldout_lift, measured, told
from tasks.numerics.history import between
from tasks.numerics.interactions import binary, interactions
from tests.helpers.histories import histories, movielens_slices

START = datetime(2026, 1, 1, tzinfo=UTC)


def events(rows):
    """(user, item, second) rows as table events."""
    return pl.DataFrame(
        {
            t.USER_ID: [user for user, _, _ in rows],
            t.ITEM_ID: [item for _, item, _ in rows],
            t.TIMESTAMP: [START + timedelta(seconds=second) for _, _, second in rows],
            t.SEQUENCE: range(len(rows)),
        }
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=40), st.integers(1, 9))
def test_slices_follow_the_protocol(rows, tenths):
    frame = events([(f"u{user}", f"i{at}", second) for at, (user, second) in enumerate(rows)])
    share = tenths / 10
    train, test = between(frame, 0.0, share), between(frame, share, 1.0)
    as_ingested = frame.sort(t.USER_ID, t.TIMESTAMP, t.SEQUENCE)
    assert between(as_ingested, 0.0, share).equals(train)
    assert train.equals(train.sort(t.USER_ID, t.TIMESTAMP, t.SEQUENCE))
    for user in {user for user, _ in rows}:
        mine = sorted((second, at) for at, (who, second) in enumerate(rows) if who == user)
        ranked = [f"i{at}" for _, at in mine]
        cut = sum(rank < share * len(mine) for rank in range(len(mine)))
        assert train.filter(pl.col(t.USER_ID) == f"u{user}")[t.ITEM_ID].to_list() == ranked[:cut]
        assert test.filter(pl.col(t.USER_ID) == f"u{user}")[t.ITEM_ID].to_list() == ranked[cut:]


def test_a_slice_the_wrong_way_round_is_refused():
    with pytest.raises(DataError, match=r"0\.8"):
        between(events([("a", "i", 0)]), 0.8, 0.2)


def test_events_become_counts():
    frame = events([("a", "x", 0), ("a", "x", 1), ("b", "y", 2), ("b", "z", 3), ("c", "x", 4)])
    found = interactions(frame, ["b", "a"], ["x", "y"])
    np.testing.assert_array_equal(found.counts.toarray(), [[0, 1], [2, 0]])
    np.testing.assert_array_equal(binary(interactions(frame, ["a"], ["x"])).toarray(), [[1]])


def slow(train, test, labels, top_n, prior):
    """The protocol, one user and one item at a time."""
    users = train.shape[0]
    hits, shown = np.zeros(users), set()
    for user in range(users):
        members = labels == labels[user]
        score = train.sum(axis=0) / users
        if labels[user] >= 0:
            score = train[members].sum(axis=0) / members.sum() + prior * score
        ranked = sorted((-value, item) for item, value in enumerate(score) if not train[user, item])
        for _, item in ranked[:top_n]:
            hits[user] += test[user, item] > 0
            shown.add(item)
    own = (test > 0).sum(axis=1)
    tested = own > 0
    recall = (hits[tested] / own[tested]).mean() if tested.any() else np.nan
    everything = ((train > 0) | (test > 0)).any(axis=0).sum()
    return hits.mean() / top_n, recall, len(shown) / everything


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 25), st.integers(3, 30), st.sampled_from([1, 3, 10]))
def test_equals_a_slow_rewrite(seed, users, items, top_n):
    rng = np.random.default_rng(seed)
    train = rng.poisson(rng.uniform(0.05, 1.0), size=(users, items)).astype(float)
    test = (rng.random((users, items)) < 0.2).astype(float)
    train[0, 0] = test[0, -1] = 1.0
    labels = rng.integers(-1, 3, size=users)
    found = heldout_lift(sp.csr_matrix(train), sp.csr_matrix(test), labels, top_n, 0.3, Resampling(2, 2), rng).numbers
    ours = [found[name] for name in ("precision", "recall", "coverage")]
    np.testing.assert_allclose(ours, slow(train, test, labels, top_n, 0.3), atol=1e-12)
    popular = [found[f"global_{name}"] for name in ("precision", "recall", "coverage")]
    np.testing.assert_allclose(popular, slow(train, test, np.full(users, -1), top_n, 0.3), atol=1e-12)


def checkerboard(users=200, items=60, tastes=4, seed=0):
    """Users who only touch their own taste's items; half of what they touch is held out."""
    rng = np.random.default_rng(seed)
    taste = np.arange(users) % tastes
    liked = (taste[:, None] == np.arange(items) % tastes) & (rng.random((users, items)) < 0.8)
    train = liked & (rng.random((users, items)) < 0.5)
    return sp.csr_matrix(train.astype(float)), sp.csr_matrix((liked & ~train).astype(float)), taste


def test_planted_tastes_are_rewarded_and_random_segments_are_not():
    train, test, taste = checkerboard()
    found = heldout_lift(train, test, taste, top_n=5, rng=np.random.default_rng(1))
    low, high = found.interval
    assert 1.0 < low < found.value < high
    assert abs(found.numbers["random_lift_precision"]) < 0.25
    assert found.numbers["lift_over_random_precision"] > 1.0
    assert found.intervals["lift_over_random_precision"][0] > 0
    assert all(one["precision"] > 1.5 * one["global_precision"] for one in found.segments.values())
    assert sum(segment["users"] for segment in found.segments.values()) == 200


def test_users_without_a_segment_get_popularity():
    train, test, _ = checkerboard()
    found = heldout_lift(train, test, np.full(200, -1), rng=np.random.default_rng(1))
    assert found.value == 0.0
    assert found.segments == {}
    one = heldout_lift(train, test, np.zeros(200, int), rng=np.random.default_rng(1))
    assert one.value == 0.0  # one segment of all users ranks as popularity does


def test_the_interval_covers_the_lift_of_all_users():
    rng = np.random.default_rng(0)
    keen = rng.beta(1, 4, size=100_000)  # keen users are hit more by both: the pairs are correlated
    ours, popular = rng.binomial(10, keen), rng.binomial(10, 0.7 * keen)
    own, truth = np.full(300, 8), ours.mean() / popular.mean() - 1
    inside = 0
    for _ in range(60):
        users = rng.integers(100_000, size=300)
        found = intervals_of(ours[users], popular[users], [popular[users]], own, 10, 200, rng)
        low, high = found["lift_precision"]
        assert found["lift_recall"] == pytest.approx((low, high))
        inside += low <= truth <= high
    assert 51 <= inside < 60  # 95 % of 60 is 57


def test_same_seed_same_numbers_and_the_matrices_stay_as_they_were():
    train, test, taste = checkerboard()
    before = train.copy()
    a, b = (heldout_lift(train, test, taste, rng=np.random.default_rng(5)) for _ in range(2))
    assert a == b
    assert (train != before).nnz == 0


def test_shapes_must_align():
    train, test, taste = checkerboard()
    with pytest.raises(DataError, match="align"):
        heldout_lift(train, test[:-1], taste)
    with pytest.raises(DataError, match="labels"):
        heldout_lift(train, test, taste[:-1])


def test_compute_uses_the_labels_of_the_train_refit_only():
    train, test, taste = checkerboard()
    context = EvaluationContext(
        np.zeros((200, 2)), np.zeros(200, int), "cosine", 7, heldout=HeldOut(histories(train), test)
    )
    assert "train slice" in compute(context, EvaluateConfig()).reason
    refitted = EvaluationContext(context.X, context.labels, "cosine", 7, heldout=context.heldout, heldout_labels=taste)
    found = compute(refitted, EvaluateConfig(top_n=5))
    assert found.value > 1.0
    assert found.details["lift_recall"] > 1.0
    assert compute(EvaluationContext(context.X, taste, "cosine", 7), EvaluateConfig()).value is None
    off = compute(refitted, EvaluateConfig(lift=False))
    assert off.value is None
    assert "evaluate.lift is off" in off.reason


@pytest.mark.skipif(find_spec("recbole") is None, reason="MovieLens-100K comes with the package recbole")
def test_movielens_reproduces_the_published_numbers():
    train, test = movielens_slices()
    labels = np.random.default_rng(0).integers(20, size=train.shape[0])
    found = heldout_lift(train.counts, test, labels, rng=np.random.default_rng(0))
    popular = [found.numbers[f"global_{name}"] for name in ("precision", "recall", "coverage")]
    np.testing.assert_allclose(popular, [0.104, 0.067, 0.043], atol=0.002)
    assert -0.15 < found.value < 0.03  # random segments cost a little precision and widen coverage
    assert 0.4 < found.numbers["lift_coverage"] < 1.0


def test_with_nothing_to_hold_out_there_is_no_lift():
    """Users of one event each: a baseline that hits nobody counts as one hit, and -100 % would be told."""
    train = sp.csr_matrix(np.eye(4, 6))
    held, config, labels = (
        HeldOut(histories(train), sp.csr_matrix((4, 6))),
        EvaluateConfig(bootstraps=5),
        np.array([0, 0, 1, 1]),
    )
    metric = told(measured(held, labels, config, 0), labels, config)
    assert metric.value is None
    assert metric.reason == "nobody's history has an event in this slice"


def test_what_cannot_be_hit_is_no_lift():
    """The user had it before, or nobody had, so that nothing is known of it: -100 % would be told."""
    had = np.eye(4, 6)
    config, labels = EvaluateConfig(bootstraps=5), np.array([0, 0, 1, 1])

    def lift(tested):
        held = HeldOut(histories(had), sp.csr_matrix(np.asarray(tested, float)))
        return told(measured(held, labels, config, 0), labels, config)

    again, unknown, hit = had.copy(), np.zeros((4, 6)), had.copy()
    unknown[:, 5] = 1
    hit[0, 1] = 1
    why = "no held-out item can be hit: the user had it before, or nobody had"
    for tested in (again, unknown, again + unknown):
        assert (lift(tested).value, lift(tested).reason) == (None, why)
    assert lift(hit).value is not None
