"""Content: what items are, on planted tastes; items that nobody touched, and users of whom nothing is known."""

import numpy as np
import pytest
import scipy.sparse as sp

from schemas.errors import DataError
from schemas.interactions import Items
from tasks.recommenders import content
from tests.helpers.histories import checkerboard, histories, planted_items, some

COLD = np.arange(30, 40)  # items that nobody touched


def world():
    matrix, taste, liked = checkerboard()
    matrix = matrix.tolil()
    matrix[:, COLD] = 0
    return matrix.tocsr(), taste, liked


def fitted(matrix, labels, items=None, **config):
    items = items or planted_items(matrix.shape[1])
    return content.fit(histories(matrix), items, labels, content.Config(**config), np.random.default_rng(0))


@pytest.mark.parametrize(
    "config", [{}, {"vectors_weight": 0.0}, {"categories_weight": 0.0}, {"half_life": 0.2}, {"idf": True}]
)
def test_items_nobody_touched_go_to_those_who_like_their_kind(config):
    matrix, _, liked = world()
    scores = fitted(matrix, np.full(120, -1), **config).scores(np.arange(120))[:, COLD]
    mine = liked[:, COLD]
    assert all(row[own].min() > row[~own].max() for row, own in zip(scores, mine, strict=True))


def test_who_has_no_history_gets_what_the_segment_likes():
    matrix, taste, _ = world()
    model = fitted(matrix, taste)
    found = some(model, histories(np.zeros((4, 40))), np.arange(4), 5)
    assert (found % 4 == np.arange(4)[:, None]).all()


def test_one_item_weighs_as_strength_says():
    matrix, taste, _ = world()
    other = np.zeros((1, 40))
    other[0, 1] = 1.0  # of another taste than the segment's
    leaning, trusting = (some(fitted(matrix, taste, strength=s), histories(other), [0], 5) for s in (50.0, 0.0))
    assert (leaning % 4 == 0).all()
    assert (trusting % 4 == 1).all()


def test_nothing_known_is_everybodys_centroid_and_ties_go_by_popularity():
    categories = sp.csr_matrix(np.array([[1, 0]] * 4 + [[0, 1]] * 3))
    items = Items(np.arange(7).astype(str), None, categories)
    matrix = np.zeros((6, 7))
    matrix[:5, 2], matrix[:2, 1], matrix[0, 4] = 1, 1, 1  # most like the first category: item 2, then 1
    model = fitted(sp.csr_matrix(matrix), np.full(6, -1), items)
    found = some(model, histories(np.zeros((1, 7))), [-1], 7)
    assert found[0].tolist() == [2, 1, 0, 3, 4, 5, 6]
    nobody = fitted(sp.csr_matrix((6, 7)), np.full(6, -1), items)
    assert nobody.recommend(np.array([0]), 7)[0][0].tolist() == list(range(7))


def test_scores_are_weighted_cosines_of_profile_and_item():
    rng = np.random.default_rng(3)
    matrix, labels = (rng.random((30, 12)) < 0.4).astype(float), rng.integers(-1, 3, size=30)
    matrix[4] = 0
    categories = (rng.random((12, 5)) < 0.4).astype(float)
    items = Items(np.arange(12).astype(str), None, sp.csr_matrix(categories))
    model = fitted(sp.csr_matrix(matrix), labels, items, strength=3.0, categories_weight=2.0)
    lengths = np.linalg.norm(categories, axis=1, keepdims=True)
    unit = np.divide(categories, lengths, out=np.zeros_like(categories), where=lengths > 0)
    known = lengths[:, 0] > 0
    own, n = np.zeros((30, 5)), np.zeros(30)
    for user in range(30):
        mine = [unit[i] for i in range(12) if matrix[user, i] and known[i]]
        n[user] = len(mine)
        own[user] = np.mean(mine, axis=0) - unit[known].mean(axis=0) if mine else 0
    for user in range(30):
        members = (labels == labels[user]) if labels[user] >= 0 else np.ones(30, bool)
        segment = own[members & (n > 0)].mean(axis=0)
        profile = (n[user] * own[user] + 3 * segment) / (n[user] + 3)
        expected = 2 * unit @ profile / np.linalg.norm(profile)
        np.testing.assert_allclose(model.scores(np.array([user]))[0], expected, atol=1e-5)


def test_other_histories_are_served_like_those_of_the_fit():
    matrix, taste, _ = world()
    model, users = fitted(matrix, taste, half_life=0.3), np.array([3, 77, 8])
    again = model.of(histories(matrix).rows(users), taste[users])
    np.testing.assert_array_equal(again.scores(np.arange(3)), model.scores(users))
    np.testing.assert_array_equal(again.scores(np.array([1])), model.scores(np.array([77])))


def test_items_without_texts_stand_in_the_middle():
    matrix, taste, liked = world()
    items = planted_items()
    items.vectors[35:] = 0
    scores = fitted(matrix, taste, Items(items.ids, items.vectors)).scores(np.arange(120))
    assert np.abs(scores[:, 35:]).max() < 1e-5
    assert (scores[:, :30][liked[:, :30]] > 0).mean() > 0.99


@pytest.mark.parametrize(
    ("items", "config", "told"),
    [
        (None, {}, "item texts or categories"),
        (Items(np.arange(40).astype(str)), {}, "item texts or categories"),
        (planted_items(), {"vectors_weight": 0.0, "categories_weight": 0.0}, "item texts or categories"),
        (planted_items(39), {}, "39 items"),
    ],
)
def test_items_of_which_nothing_counts_are_refused(items, config, told):
    matrix, taste, _ = world()
    with pytest.raises(DataError, match=told):
        content.fit(histories(matrix), items, taste, content.Config(**config), np.random.default_rng(0))
