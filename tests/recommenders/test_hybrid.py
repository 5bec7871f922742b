"""The ladder of recommenders: the right rung for each number of events, on planted worlds."""

import numpy as np
import pytest

from schemas.errors import DataError
from tasks.recommenders import hybrid
from tasks.recommenders._inner import sibling
from tests.helpers.histories import histories, nested, planted_items, some

EASE = {"l2": 20.0, "half_life": None}
RUNGS = ("global_popularity", "segment_popularity", "ease")


def ladder(train, labels, items=None, seed=0, rungs=RUNGS, params=None, **config):
    params = {"ease": EASE} if params is None else params
    named = (
        rungs if isinstance(rungs, dict) else {kind: {"kind": kind, "params": params.get(kind, {})} for kind in rungs}
    )
    config = hybrid.Config(**{"independent": True, "rungs": named, **config})
    return hybrid.fit(train, items, labels, config, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(3))
def test_segments_serve_who_is_unknown_and_the_base_who_is_known(seed):
    train, segment, best = nested(seed)
    model = ladder(train, segment, seed=seed)
    assert model.chosen["0"] == "segment_popularity"
    assert model.chosen["10+"] == "ease"
    assert set(model.recalls["3-4"]) == set(RUNGS)
    found = some(model, histories(np.zeros((4, train.shape[1]))), np.arange(4))
    assert (found // 24 == np.arange(4)[:, None]).all()  # 24 items each
    left = (best & (train.counts.toarray() == 0)).sum(axis=1)
    warm = np.flatnonzero((np.diff(train.counts.indptr) >= 10) & (left >= 3))
    assert best[warm[:, None], model.recommend(warm, 3)[0]].mean() > 0.8


def test_without_a_history_no_segment_is_known_unless_it_comes_from_elsewhere():
    train, segment, _ = nested(0)
    blind = ladder(train, segment, independent=False).recalls["0"]
    assert blind["segment_popularity"] == blind["global_popularity"]


@pytest.mark.parametrize("seed", range(3))
def test_segments_by_chance_are_not_leant_on(seed):
    train, segment, _ = nested(seed)
    model = ladder(train, np.random.default_rng(seed).permutation(segment), seed=seed)
    assert model.chosen["10+"] == "ease"
    assert model.recalls["0"]["segment_popularity"] < model.recalls["0"]["global_popularity"] + 0.05


def test_each_user_gets_the_rung_of_the_users_band():
    train, segment, _ = nested(3)
    model = ladder(train, segment)
    known = train.counts[:6].toarray()
    for user, n in enumerate((0, 1, 2, 4, 7, 10)):
        known[user, np.flatnonzero(known[user])[n:]] = 0
    assert hybrid.bands(histories(known), np.arange(6)).tolist() == [0, 1, 1, 2, 3, 4]
    folded = model.of(histories(known), segment[:6])
    names = list(hybrid.BANDS)
    for user, band in enumerate((0, 1, 1, 2, 3, 4)):
        rung = folded.rungs[model.chosen[names[band]]]
        one = np.array([user])
        np.testing.assert_array_equal(folded.recommend(one, 8)[0], rung.recommend(one, 8)[0])


def test_other_histories_are_served_like_those_of_the_fit():
    train, segment, _ = nested(4)
    model, users = ladder(train, segment), np.array([5, 200, 31])
    again = model.of(train.rows(users), segment[users])
    np.testing.assert_allclose(again.scores(np.arange(3)), model.scores(users), atol=1e-5)


def test_content_stands_on_the_ladder_where_items_have_texts():
    train, segment, _ = nested(5)
    rungs = ("global_popularity", "content")
    assert set(ladder(train, segment, rungs=rungs).chosen.values()) == {"global_popularity"}
    items = planted_items(train.shape[1])
    assert set(ladder(train, segment, items, rungs=rungs).recalls["0"]) == {*rungs}
    with pytest.raises(DataError, match="item texts or categories"):
        ladder(train, segment, rungs=("content",))


def test_only_rungs_in_use_are_kept_and_parameters_reach_them():
    train, segment, _ = nested(6)
    model = ladder(train, segment, params={"segment_popularity": {"prior_weight": 0.0}})
    assert set(model.rungs) == set(model.chosen.values())
    expected = sibling("segment_popularity")
    config = expected.Config(prior_weight=0.0)
    alone = expected.fit(train, None, segment, config, np.random.default_rng(0))
    np.testing.assert_array_equal(model.rungs["segment_popularity"].by_group, alone.by_group)
    with pytest.raises(DataError, match="no recommender is called 'oracle'"):
        ladder(train, segment, rungs=("oracle", "ease"))


def test_one_kind_may_stand_on_several_rungs():
    train, segment, _ = nested(7)
    late = {"kind": "global_popularity", "params": {"half_life_days": 3.0}}  # a handful of cells, of all
    model = ladder(train, segment, rungs={"late": late, "ever": {"kind": "global_popularity"}})
    whole = model.recalls["10+"]
    assert whole["ever"] != whole["late"]
    assert model.chosen["10+"] == max(whole, key=whole.__getitem__)
    assert set(model.chosen.values()) == set(model.rungs)


def test_a_rung_that_the_data_refuses_is_left_out_with_its_reason():
    train, segment, _ = nested(8)
    model = ladder(train, segment, params={"ease": {"max_gib": 1e-9}})
    assert "Gram matrix" in model.left_out["ease"]
    assert set(model.chosen.values()) <= {"global_popularity", "segment_popularity"}
    with pytest.raises(DataError, match=r"no rung can be fitted: ease: .* Gram matrix"):
        ladder(train, segment, rungs=("ease",), params={"ease": {"max_gib": 1e-9}})


def test_what_two_rungs_have_in_common_is_solved_once(monkeypatch):
    """On the rest, once more within it for the blend's weights, and on all: not six times."""
    train, segment, _ = nested(9)
    ease, solved = sibling("ease"), []
    whole = ease.fit
    monkeypatch.setattr(ease, "fit", lambda *given: solved.append(given[0].shape[0]) or whole(*given))
    model = ladder(train, segment, rungs=("segment_aware", "ease"), params={})
    assert len(solved) == 3
    assert sorted(set(solved)) == sorted(solved)
    assert "segment_aware" in model.chosen.values()  # so that both would have been fitted on all


def test_what_a_rung_learned_in_the_trial_is_kept():
    train, segment, _ = nested(10)
    model = ladder(train, segment, rungs=("segment_aware",), params={})
    alone = sibling("segment_aware")
    blend = model.rungs["segment_aware"]
    given = alone.Config(floor=blend.floor, strength=blend.strength)
    same = alone.fit(train, None, segment, given, np.random.default_rng(1))
    users = np.arange(0, 240, 40)
    np.testing.assert_array_equal(blend.scores(users), same.scores(users))
