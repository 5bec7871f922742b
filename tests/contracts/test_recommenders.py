"""Every file in tasks/recommenders keeps the contract."""

import numpy as np
import pytest
import scipy.sparse as sp

from schemas.errors import DataError
from tasks.plugins.find import kinds, plugin
from tests.helpers.histories import checkerboard, histories, planted_items

KINDS = kinds("recommenders")
POPULAR = {"global_popularity", "personal_frequency"}  # no tastes: with seen items left out, what all others like
TASTES = [kind for kind in KINDS if kind not in POPULAR]


def fitted(kind, matrix, labels, seed=0):
    module = plugin("recommenders", kind)
    items = planted_items(matrix.shape[1])
    return module.fit(histories(matrix), items, labels, module.Config(), np.random.default_rng(seed))


def test_the_folder_holds_the_baseline_the_protocol_and_the_ceiling():
    plain = {"global_popularity", "personal_frequency", "segment_popularity"}
    assert set(KINDS) >= plain | {"item_knn", "user_knn", "als", "ease"}


@pytest.mark.parametrize("kind", KINDS)
def test_config_names_its_kind_and_describes_every_field(kind):
    Config = plugin("recommenders", kind).Config
    assert Config().kind == kind
    assert all(field.description for name, field in Config.model_fields.items() if name != "kind")


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_order_and_nothing_seen(kind):
    matrix, taste, _ = checkerboard()
    users = np.array([5, 0, 119, 5])
    items, scores = fitted(kind, matrix, taste).recommend(users, 7)
    assert items.shape == scores.shape == (4, 7)
    assert items.min() >= 0
    assert (np.diff(scores, axis=1) <= 0).all()
    np.testing.assert_array_equal(items[0], items[3])
    assert all(len(set(row)) == 7 for row in items)
    assert not matrix.toarray()[users[:, None], items].any()


@pytest.mark.parametrize("kind", KINDS)
def test_seen_items_come_back_when_asked_for(kind):
    matrix, taste, _ = checkerboard()
    matrix = matrix.tolil()
    matrix[0, 3] = 50.0
    items, _ = fitted(kind, matrix.tocsr(), taste).recommend(np.arange(120), 10, exclude_seen=False)
    assert matrix.tocsr().toarray()[np.arange(120)[:, None], items].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_who_has_seen_all_but_two_gets_two(kind):
    matrix, taste, _ = checkerboard()
    matrix = matrix.tolil()
    matrix[7, :38] = 1.0
    matrix[7, 38:] = 0.0
    items, scores = fitted(kind, matrix.tocsr(), taste).recommend(np.array([7]), 50)
    assert sorted(items[0, :2]) == [38, 39]
    assert (items[0, 2:] == -1).all()
    assert np.isnan(scores[0, 2:]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_items(kind):
    matrix, taste, _ = checkerboard()
    (a, x), (b, y) = (fitted(kind, matrix, taste, 3).recommend(np.arange(120), 5) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("kind", TASTES)
def test_planted_tastes_are_found(kind):
    matrix, taste, liked = checkerboard(items=160, density=0.85)  # enough for the factors of ALS to be sure
    items, _ = fitted(kind, matrix, taste).recommend(np.arange(120), 2)
    missing = (liked & (matrix.toarray() == 0)).sum(axis=1) >= 2
    assert liked[np.arange(120)[:, None], items][missing].mean() > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_a_segment_without_members_keeps_its_row(kind):
    matrix, taste, liked = checkerboard()
    items, scores = fitted(kind, matrix, np.where(taste == 1, -1, taste)).top(5)
    assert items.shape == scores.shape == (4, 5)
    assert np.isfinite(scores).all()
    if kind in {*TASTES, "personal_frequency"}:  # a segment's own counts are its taste
        assert all(liked[label, items[label]].all() for label in (0, 2, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_top_lists_the_best_of_each_segment(kind):
    matrix, taste, _ = checkerboard()
    taste[:3] = -1
    items, scores = fitted(kind, matrix, taste).top(5)
    assert items.shape == scores.shape == (4, 5)
    assert (np.diff(scores, axis=1) <= 0).all()
    if kind in {*TASTES, "personal_frequency"}:  # a segment's own counts are its taste
        assert (items % 4 == np.arange(4)[:, None]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_misaligned_labels_are_refused_and_input_is_left_alone(kind):
    matrix, taste, _ = checkerboard()
    before = matrix.copy()
    with pytest.raises(DataError, match="120 users"):
        fitted(kind, matrix, taste[:-1])
    fitted(kind, matrix, taste).recommend(np.arange(3), 3)
    assert (matrix != before).nnz == 0


@pytest.mark.parametrize("kind", KINDS)
def test_of_the_training_histories_recommends_the_same(kind):
    matrix, taste, _ = checkerboard()
    own = fitted(kind, matrix, taste)
    for exclude_seen in (True, False):
        items, scores = own.of(own.interactions, own.labels).recommend(np.arange(120), 6, exclude_seen)
        expected, values = own.recommend(np.arange(120), 6, exclude_seen)
        np.testing.assert_array_equal(items, expected)
        np.testing.assert_array_equal(scores, values)


@pytest.mark.parametrize("kind", KINDS)
def test_one_user_at_a_time_gets_the_lists_of_the_batch(kind):
    matrix, taste, _ = checkerboard(items=200)
    own = fitted(kind, matrix, taste)
    items, scores = own.recommend(np.arange(120), 10)
    for user in range(0, 120, 7):
        alone = own.of(own.interactions.rows(np.array([user])), own.labels[[user]])
        found, values = alone.recommend(np.array([0]), 10)
        np.testing.assert_array_equal(found[0], items[user])
        np.testing.assert_array_equal(values[0], scores[user])


@pytest.mark.parametrize("kind", TASTES)
def test_users_who_came_after_the_fit_get_their_taste(kind):
    matrix, taste, liked = checkerboard(items=160, density=0.85)
    matrix[::3] = matrix[::3].multiply(np.random.default_rng(1).random((40, 160)) < 0.7)
    known, new = np.arange(120) % 3 > 0, np.arange(0, 120, 3)
    whole = histories(matrix)
    own = plugin("recommenders", kind).fit(
        whole.rows(np.flatnonzero(known)), None, taste[known], plugin("recommenders", kind).Config(),
        np.random.default_rng(0),
    )  # fmt: skip
    items, _ = own.of(whole.rows(new), taste[new]).recommend(np.arange(len(new)), 2)
    assert liked[new[:, None], items].mean() > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_other_items_than_those_of_the_fit_are_refused(kind):
    matrix, taste, _ = checkerboard()
    own = fitted(kind, matrix, taste)
    with pytest.raises(DataError, match="fitted on 40 items"):
        own.of(histories(matrix[:, :39]), own.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_numbers_or_nothing_and_the_callers_own(kind):
    matrix, taste, _ = checkerboard()
    own = fitted(kind, matrix, taste)
    first = own.scores(np.arange(120))
    assert first.shape == (120, 40)
    assert (np.isfinite(first) | (first == -np.inf)).all()
    kept = first.copy()
    first[:] = 7.0
    np.testing.assert_array_equal(own.scores(np.arange(120)), kept)


@pytest.mark.parametrize("kind", KINDS)
def test_one_item_and_users_without_history(kind):
    labels = np.array([0, 0, 1, -1])
    items, scores = fitted(kind, sp.csr_matrix(np.array([[1.0], [0], [2], [0]])), labels).recommend(np.arange(4), 3)
    assert items[:, 0].tolist() == [-1, 0, -1, 0]
    assert (items[:, 1:] == -1).all()
    assert np.isfinite(scores[[1, 3], 0]).all()
    nobody = fitted(kind, sp.csr_matrix((4, 5)), labels)
    assert np.isfinite(nobody.scores(np.arange(4))).all()
    assert nobody.recommend(np.arange(4), 3)[0].tolist() == [[0, 1, 2]] * 4  # equal scores go by item number
    assert nobody.recommend(np.arange(0), 3)[0].shape == (0, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_who_has_seen_everything_gets_nothing(kind):
    own = fitted(kind, sp.csr_matrix(np.ones((6, 5))), np.zeros(6, int))
    items, scores = own.recommend(np.arange(6), 4)
    assert (items == -1).all()
    assert np.isnan(scores).all()
