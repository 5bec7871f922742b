"""The ladder of recommenders: the right rung for each number of events, on planted worlds."""

import numpy as np
import pytest

from schemas.errors import DataError
from tasks.recommenders import hybrid
from tasks.recommenders._inner import sibling
from tests.helpers.histories import histories, nested, planted_items, some

RUNGS = ("global_popularity", "segment_popularity", "ease")


def ladder(train, labels, items=None, seed=0, **config):
    config = hybrid.Config(
        **{"independent": True, "rungs": RUNGS, "params": {"ease": {"l2": 20.0, "half_life": None}}, **config}
    )
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
