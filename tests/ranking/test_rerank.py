"""Lists made anew: against a plain rewrite, and against every set of items that the long tail's floor allows."""

from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import DataError
from tasks.ranking import rerank as module
from tasks.ranking.rerank import Rules, rerank

ITEMS = 14


def candidates(rng, m=5, c=9):
    """Lists of candidates with scores that fall, some tied, some lists short."""
    lists = np.array([rng.permutation(ITEMS)[:c] for _ in range(m)])
    lists[np.arange(c) >= rng.integers(0, c + 1, size=(m, 1))] = -1
    return lists, -np.sort(-rng.integers(0, 6, size=(m, c)), axis=1).astype(float)


def plainly(row, scores, n, rules):
    """One list by loops over its candidates."""
    pairs = [(i, s) for i, s in zip(row.tolist(), scores.tolist(), strict=True) if i >= 0]
    never = set() if rules.never is None else set(np.flatnonzero(rules.never).tolist())
    always = [i for i in rules.always if i not in never]
    pairs = [(i, s) for i, s in pairs if i not in always]
    low, high = min((s for _, s in pairs), default=0), max((s for _, s in pairs), default=0)
    worth = {i: (s - low) / (high - low) if high > low else 1.0 for i, s in pairs}
    free = [i for i, _ in pairs if i not in never]
    tail = set() if rules.tail is None else set(np.flatnonzero(rules.tail).tolist())
    owed = min(np.ceil(rules.tail_share * n - 1e-9), len(tail & {*free, *always}))
    done = []

    def cosine(a, b):
        a, b = rules.vectors[a], rules.vectors[b]
        lengths = np.linalg.norm(a) * np.linalg.norm(b)
        return a @ b / lengths if lengths else 0.0

    def full(i):
        if rules.at_most is None:
            return False
        marks = rules.categories.toarray()
        return any(marks[i, c] and sum(marks[j, c] for j in done) >= rules.at_most for c in range(marks.shape[1]))

    while len(done) < n:
        if len(done) < len(always):
            done.append(always[len(done)])
            continue
        able = [i for i in free if i not in done and not full(i)]
        if owed - len(tail & {*done}) >= n - len(done) and any(i in tail for i in able):
            able = [i for i in able if i in tail]
        if not able:
            break

        def value(i):
            if rules.relevance == 1:
                return worth[i]
            near = max([0.0, *(cosine(i, j) for j in done)])
            return rules.relevance * worth[i] - (1 - rules.relevance) * near

        done.append(max(able, key=lambda i: round(value(i), 9)))
    return done + [-1] * (n - len(done))


def random_rules(rng):
    """Each rule on or off."""
    on = rng.random(5) < 0.6
    return Rules(
        relevance=float(rng.choice([0.3, 0.7])) if on[0] else 1.0,
        vectors=rng.normal(size=(ITEMS, 3)) * (rng.random((ITEMS, 1)) < 0.8),
        tail=rng.random(ITEMS) < 0.4,
        tail_share=float(rng.random()) if on[1] else 0.0,
        never=rng.random(ITEMS) < 0.2 if on[2] else None,
        always=tuple(rng.permutation(ITEMS)[:2].tolist()) if on[3] else (),
        categories=sp.csr_matrix((rng.random((ITEMS, 4)) < 0.4).astype(float)),
        at_most=int(rng.integers(0, 4)) if on[4] else None,
    )


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_every_rule_and_all_together_equal_a_plain_rewrite(seed, n):
    rng = np.random.default_rng(seed)
    lists, scores = candidates(rng)
    rules = random_rules(rng)
    found = rerank(lists, scores, n, rules)
    for row, own, got in zip(lists, scores, found, strict=True):
        assert got.tolist() == plainly(row, own, n, rules)


def test_without_rules_a_list_is_its_first_candidates():
    lists, scores = candidates(np.random.default_rng(0), m=40)
    np.testing.assert_array_equal(rerank(lists, scores, 4, Rules()), lists[:, :4])
    assert (rerank(lists, scores, 12, Rules())[:, 9:] == -1).all()
    assert rerank(lists[:0], scores[:0], 3, Rules()).shape == (0, 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.floats(0, 1))
def test_no_set_with_as_much_of_the_long_tail_scores_more(seed, n, share):
    rng = np.random.default_rng(seed)
    lists = np.array([rng.permutation(ITEMS)[:8]])
    scores = -np.sort(-rng.random((1, 8)), axis=1)
    tail = rng.random(ITEMS) < 0.4
    found = rerank(lists, scores, n, Rules(tail=tail, tail_share=share))[0]
    worth = dict(zip(lists[0].tolist(), scores[0].tolist(), strict=True))
    wanted = min(int(np.ceil(share * n - 1e-9)), int(tail[lists[0]].sum()))
    best = max(sum(worth[i] for i in one) for one in combinations(worth, n) if tail[list(one)].sum() >= wanted)
    assert tail[found].sum() >= wanted
    assert sum(worth[i] for i in found.tolist()) == pytest.approx(best)
    assert (np.diff([worth[i] for i in found.tolist()]) <= 0).all()  # and it stays in order


def test_less_relevance_is_more_diverse():
    rng = np.random.default_rng(1)
    vectors = np.repeat(np.eye(4), 5, axis=0) + 0.05 * rng.normal(size=(20, 4))
    lists = np.arange(20)[None, :]  # the best are all alike
    scores = np.linspace(1, 0, 20)[None, :]
    kinds = [
        len(set((rerank(lists, scores, 4, Rules(relevance=x, vectors=vectors))[0] // 5).tolist())) for x in (1, 0.3)
    ]
    assert kinds == [1, 4]
    again = rerank(lists, scores, 4, Rules(relevance=0.3, vectors=sp.csr_matrix(vectors)))
    np.testing.assert_array_equal(again, rerank(lists, scores, 4, Rules(relevance=0.3, vectors=vectors)))


def test_parts_of_users_are_treated_like_all(monkeypatch):
    rng = np.random.default_rng(2)
    lists, scores = candidates(rng, m=30)
    rules = Rules(relevance=0.5, vectors=rng.normal(size=(ITEMS, 3)), tail=rng.random(ITEMS) < 0.5, tail_share=0.5)
    whole = rerank(lists, scores, 5, rules)
    monkeypatch.setattr(module, "_CHUNK_VALUES", 100)
    np.testing.assert_array_equal(rerank(lists, scores, 5, rules), whole)


@pytest.mark.parametrize(
    "wrong", [{"relevance": 0.5}, {"tail_share": 0.2}, {"at_most": 1}, {"relevance": 1.5}, {"tail_share": -1.0}]
)
def test_rules_without_what_they_need_are_refused(wrong):
    with pytest.raises(DataError, match="rules of lists"):
        Rules(**wrong, **({"tail": np.ones(3, bool)} if wrong.get("tail_share", 0) < 0 else {}))
