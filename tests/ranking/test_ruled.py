"""A recommender that keeps to rules: the same for all users, segments and newcomers, and told where it cannot."""

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from schemas.errors import DataError
from schemas.interactions import Chosen, Items
from schemas.recommended import Basis, Terms
from schemas.settings import RulesConfig
from tasks.ranking.ruled import ruled
from tasks.recommenders import item_knn
from tests.helpers.histories import checkerboard, histories


def basis(items=None, **rules):
    """Users with tastes, and rules."""
    matrix, taste, _ = checkerboard()
    ids = pl.Series([f"i{item:02}" for item in range(40)])
    chosen = Chosen(pl.Series([f"u{user}" for user in range(120)]), ids, histories(matrix), taste)
    terms = Terms(
        model_version="1", segments=("s1", "s2", "s3", "s4"), recommender={"kind": "item_knn"}, events=(), n=5,
        exclude_seen=True, seed=1, rules=RulesConfig(**rules),
    )  # fmt: skip
    return Basis(chosen, items, terms)


def fitted(of):
    chosen = of.chosen
    plain = item_knn.fit(chosen.interactions, None, chosen.labels, item_knn.Config(), np.random.default_rng(0))
    return plain, ruled(plain, of)


def test_without_rules_nothing_is_in_between():
    plain, kept = fitted(basis())
    assert kept is plain


def test_rules_hold_for_users_segments_and_newcomers():
    of = basis(never=("i00", "i04", "nobody's"), always=("i39",))
    plain, kept = fitted(of)
    before = plain.recommend(np.arange(120), 5)[0]
    assert {0, 4} & set(before.ravel().tolist()), "they would be there"
    newcomers = kept.of(of.chosen.interactions.rows(np.arange(10)), of.chosen.labels[:10])
    for items, scores in (kept.recommend(np.arange(120), 5), kept.top(5), newcomers.recommend(np.arange(10), 5)):
        assert items.shape == scores.shape
        assert not {0, 4} & set(items.ravel().tolist())
        assert (items[:, 0] == 39).all()
        assert (np.diff(scores, axis=1) < 0).all()
        assert all(len(set(row)) == len(row) for row in items.tolist())


def test_categories_and_the_long_tail_are_kept_to():
    kinds = sp.csr_matrix((np.arange(40)[:, None] // 10 == np.arange(4)).astype(float))
    items = Items(np.array([f"i{item:02}" for item in range(40)]), categories=kinds)
    _, kept = fitted(basis(items, at_most=2, pool=40))
    found = kept.recommend(np.arange(120), 6)[0]
    counts = np.array([[(row[row >= 0] // 10 == kind).sum() for kind in range(4)] for row in found])
    assert counts.max() == 2


def test_what_the_rules_need_is_asked_for_in_words():
    with pytest.raises(DataError, match="nobody chose gone; name items"):
        fitted(basis(always=("gone",)))
    with pytest.raises(DataError, match="rules of lists need vectors"):
        fitted(basis(relevance=0.5))
    with pytest.raises(DataError, match="rules of lists need categories"):
        fitted(basis(at_most=1))
