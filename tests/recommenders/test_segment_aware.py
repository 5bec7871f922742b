"""A one-to-one recommender that leans on segments: planted worlds in which either side must win."""

import numpy as np
import pytest
import scipy.sparse as sp

from schemas.errors import DataError
from tasks.recommenders import ease, segment_aware, segment_popularity
from tasks.recommenders._inner import standardised, trial
from tests.helpers.histories import histories, nested, some

SEEDS = range(4)


def world(seed):
    """Half of the users to fit on, and half who come later."""
    made, segment, _ = nested(seed)
    known = np.arange(120)
    return made.rows(known), segment[:120], made.counts[120:].toarray(), segment[120:]


def cut(matrix, events, seed):
    """Histories of so many items, drawn of a user's own; and what is left of them."""
    rng = np.random.default_rng(seed)
    kept = np.zeros_like(matrix)
    for user, row in enumerate(matrix):
        own = rng.permutation(np.flatnonzero(row))[:events]
        kept[user, own] = 1
    return histories(kept), (matrix > 0) & (kept == 0)


def recall(found, wanted):
    return np.mean([wanted[user][row[row >= 0]].sum() / max(wanted[user].sum(), 1) for user, row in enumerate(found)])


BASE = {"l2": 20.0, "half_life": None}  # for worlds so small, in which times say nothing


def aware(train, labels, seed=0, **config):
    return segment_aware.fit(
        train,
        None,
        labels,
        segment_aware.Config(base_params=BASE if "base" not in config else {}, **config),
        np.random.default_rng(seed),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_whom_little_is_known_of_gets_the_segments_and_who_is_known_the_base(seed):
    train, labels, matrix, theirs = world(seed)
    rng = np.random.default_rng(seed)
    both = aware(train, labels, seed)
    base = ease.fit(train, None, labels, ease.Config(**BASE), rng)
    prior = segment_popularity.fit(train, None, labels, segment_popularity.Config(), rng)
    figures = {}
    for events in (0, 1, 3, 9):
        known, wanted = cut(matrix, events, seed)
        figures[events] = [recall(some(one, known, theirs), wanted) for one in (both, base, prior)]
    ours, alone, segments = figures[0]
    assert ours == segments
    assert ours > alone + 0.2  # without a history the base knows nothing
    assert figures[1][0] >= max(figures[1][1:]) - 0.02
    assert figures[3][0] >= max(figures[3][1:]) - 0.02
    ours, alone, segments = figures[9]
    assert ours > segments + 0.02
    assert ours >= alone - 0.02


def test_segments_that_say_nothing_weigh_little_and_those_that_say_all_much():
    train, segment, _ = nested(5, kinds=1, own=24, density=0.35, noise=0.12)
    chance = np.random.default_rng(5).integers(4, size=len(segment))
    mute, telling = (aware(train, labels, independent=True) for labels in (chance, segment))
    assert mute.floor <= 0.05 < telling.floor
    mute, telling = (aware(train, labels, independent=True, floor=0.0) for labels in (chance, segment))
    assert mute.strength < telling.strength


def test_scores_are_the_formula():
    made, segment, _ = nested(6)
    matrix = made.counts.toarray()
    matrix[3] = 0
    train, users = histories(matrix), np.arange(20)
    model = aware(train, segment, floor=0.2, strength=4.0)
    rng = np.random.default_rng(0)
    base = standardised(ease.fit(train, None, segment, ease.Config(**BASE), rng).scores(users))
    prior = segment_popularity.fit(train, None, segment, segment_popularity.Config(), rng)
    popular, everybody = prior.by_group[segment[users]], prior.by_group[-1]
    lift = standardised(np.log((popular + 1 / 240) / (everybody + 1 / 240)))
    n = (matrix > 0).sum(axis=1)[users][:, None]
    share = 4 / (4 + n)
    assert share[3] == 1
    expected = (1 - share) * (0.8 * base + 0.2 * lift) + share * standardised(popular)
    np.testing.assert_allclose(model.scores(users), expected, atol=1e-9)


def test_other_histories_are_served_like_those_of_the_fit():
    train, segment, _ = nested(7)
    users = np.array([5, 200, 31])
    model = aware(train, segment)
    again = model.of(train.rows(users), segment[users])
    np.testing.assert_allclose(again.scores(np.arange(3)), model.scores(users), atol=1e-5)


def test_users_without_a_segment_lean_on_everybody():
    train, labels, *_ = world(8)
    model = aware(train, labels, floor=0.1, strength=1.0)
    nobody = some(model, histories(np.zeros((1, train.shape[1]))), [-1])
    popular = np.asarray(train.counts.sum(axis=0)).ravel()
    assert nobody[0].tolist() == np.argsort(-popular, kind="stable")[:10].tolist()


@pytest.mark.parametrize("events", [0, 1, 3, None])
def test_users_of_a_trial_are_known_by_the_newest_before_what_is_held_and_kept_from_the_fit(events):
    train, segment, _ = nested(9)
    within = trial(train, segment, False, np.random.default_rng(0))
    served = within.served(events)
    assert within.rest.shape[0] + within.judges.shape[0] == train.shape[0]
    assert within.judges.shape[0] == 60
    both = [set(map(tuple, np.split(one.newest.data, one.newest.indptr[1:-1]))) for one in (within.rest, within.judges)]
    assert not both[0] & both[1]  # all times differ
    for at in range(60):
        own = within.judges.counts.indices[slice(*within.judges.counts.indptr[at : at + 2])]
        order = own[np.argsort(within.judges.newest[at].data)]
        end = len(own) - len(own) // 5
        assert sorted(served.known.counts[at].indices) == sorted(
            order[:end] if events is None else order[:end][::-1][:events]
        )
        assert sorted(served.wanted[at].indices) == sorted(order[end:])
    assert served.known.moment == served.known.newest.data.max(initial=0) or not events


def test_who_has_fewer_items_than_asked_for_is_not_judged_by_so_many():
    train, segment, _ = nested(9)
    within = trial(train, segment, False, np.random.default_rng(0))
    own = np.diff(within.judges.counts.indptr)
    for events in (8, 12):
        wanted = np.diff(within.served(events).wanted.indptr)
        np.testing.assert_array_equal(wanted, np.where(own - own // 5 >= events, own // 5, 0))


def test_few_items_tell_the_segment_in_a_trial_unless_it_is_known_otherwise():
    train, segment, _ = nested(10)
    within, known = (trial(train, segment, told, np.random.default_rng(0)) for told in (False, True))
    assert (within.served(0).labels == -1).all()
    right = [(within.served(events).labels == known.served(events).labels).mean() for events in (1, 5, None)]
    assert right[0] > 0.6
    assert right == sorted(right)
    assert right[-1] > 0.95


def test_histories_too_short_to_hold_out_anything_are_fitted_all_the_same():
    model = aware(histories(sp.csr_matrix(np.eye(6))), np.zeros(6, int))
    assert np.isfinite(model.scores(np.arange(6))).all()


def test_standardised_keeps_order_and_takes_what_is_not_recommended_for_the_least():
    found = standardised(np.array([[1.0, -np.inf, 3.0, np.nan], [2.0, 2.0, 2.0, 2.0]]))
    assert found[0, 1] == found[0, 3] == found[0, 0] < found[0, 2]
    assert found[0].mean() == pytest.approx(0)
    assert found[0].std() == pytest.approx(1)
    assert not found[1].any()
    assert not standardised(np.full((1, 3), -np.inf)).any()


def test_a_base_that_does_not_exist_is_refused():
    train, labels, *_ = world(0)
    with pytest.raises(DataError, match="no recommender is called 'oracle'"):
        aware(train, labels, base="oracle", floor=0.0, strength=1.0)
