"""Every file in tasks/recommenders keeps the contract."""

import numpy as np
import pytest

from schemas.errors import DataError
from tasks.plugins.find import kinds, plugin
from tests.helpers.histories import checkerboard, histories, planted_items

KINDS = kinds("recommenders")


def fitted(kind, matrix, labels, seed=0):
    module = plugin("recommenders", kind)
    items = planted_items(matrix.shape[1])
    return module.fit(histories(matrix), items, labels, module.Config(), np.random.default_rng(seed))


def test_the_folder_holds_the_baseline_the_protocol_and_the_ceiling():
    assert set(KINDS) >= {"global_popularity", "segment_popularity", "als"}


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


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "global_popularity"])
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
    if kind != "global_popularity":
        assert all(liked[label, items[label]].all() for label in (0, 2, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_top_lists_the_best_of_each_segment(kind):
    matrix, taste, _ = checkerboard()
    taste[:3] = -1
    items, scores = fitted(kind, matrix, taste).top(5)
    assert items.shape == scores.shape == (4, 5)
    assert (np.diff(scores, axis=1) <= 0).all()
    if kind != "global_popularity":
        assert (items % 4 == np.arange(4)[:, None]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_misaligned_labels_are_refused_and_input_is_left_alone(kind):
    matrix, taste, _ = checkerboard()
    before = matrix.copy()
    with pytest.raises(DataError, match="120 users"):
        fitted(kind, matrix, taste[:-1])
    fitted(kind, matrix, taste).recommend(np.arange(3), 3)
    assert (matrix != before).nnz == 0
