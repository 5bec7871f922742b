"""Search spaces become candidates with names of their own."""

import re
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from schemas.config import Section
from schemas.errors import UsageError
from tasks.selection.space import expand
from tasks.selection.tpe import Search


class Means(Section):
    kind: Literal["means"] = "means"
    k: int = Field(8, ge=1)
    space: str = "euclidean"
    whiten: bool = False


class Density(Section):
    kind: Literal["density"] = "density"
    eps: float | str = "auto"
    min_users: int = 5


def item(algorithm, **grid):
    return SimpleNamespace(algorithm=algorithm, grid=grid)


def names(candidates):
    return [candidate.name for candidate in candidates]


def test_every_combination_gets_a_readable_name():
    found = expand([item(Means(), k=[5, 10], space=["euclidean", "cosine"]), item(Density(), eps=["auto", 0.25])])
    assert names(found) == [
        "means-k5-euclidean", "means-k5-cosine", "means-k10-euclidean", "means-k10-cosine",
        "density-auto", "density-eps0.25",
    ]  # fmt: skip
    assert found[1].config == Means(k=5, space="cosine")
    assert found[-1].config == Density(eps=0.25)


def test_without_a_grid_the_config_stands_as_it_is():
    assert expand([item(Means(k=3))]) == (("means-k3", Means(k=3)),)


def test_items_of_one_kind_are_told_apart_and_equal_ones_count_once():
    found = expand([item(Means(whiten=True), k=[4, 5]), item(Means(), k=[4]), item(Means(k=4))])
    assert names(found) == ["means-k4-whiten", "means-k5-whiten", "means-k4-no_whiten"]


def test_random_draws_without_repeats_and_by_its_seed():
    space = [item(Means(), k=list(range(1, 200)), space=["euclidean", "cosine"])]
    a, b, c = (names(expand(space, "random", 10, np.random.default_rng(seed))) for seed in (1, 1, 2))
    assert a == b != c
    assert len(set(a)) == 10
    assert set(a) <= set(names(expand(space)))
    assert len(expand(space[:1], "random", 1000, np.random.default_rng(0))) == 398


def test_a_huge_space_is_not_unrolled():
    space = [item(Means(), k=list(range(1, 100_000)), space=[f"s{at}" for at in range(100_000)])]
    assert len(expand(space, "random", 5, np.random.default_rng(0))) == 5
    assert names(expand(space, "random", 5, 3)) == names(expand(space, "random", 5, np.random.default_rng(3)))


@pytest.mark.parametrize(
    ("space", "word"),
    [
        ([], "no candidates"),
        ([item(Means(), k=[])], "no candidates"),
        ([item(Means(), k=[0])], r"means\.k"),
        ([item(Means(), clusters=[3])], r"means\.clusters.*it has k, space"),
    ],
)
def test_what_is_not_legal_is_refused_by_name(space, word):
    with pytest.raises(UsageError, match=word):
        expand(space)


@given(st.lists(st.dictionaries(st.sampled_from(["k", "whiten", "space"]), st.integers(1, 3), max_size=3), max_size=4))
def test_names_are_unique_and_safe(shapes):
    values = {"k": [1, 2, 3], "whiten": [True, False, True], "space": ["a/b", "a b", "c,%[]"]}
    space = [item(Means(), **{name: values[name][:count] for name, count in shape.items()}) for shape in shapes]
    if not space:
        return
    found = expand(space)
    assert len(set(names(found))) == len(found) == len({candidate.config for candidate in found})
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names(found))


WIDE = [item(Means(), k=list(range(2, 402)), space=["euclidean", "cosine"]), item(Density(), min_users=[2, 4, 8])]


def quality(candidate):
    """Best at k = 150 in cosine space; density is refused."""
    config = candidate.config
    return None if isinstance(config, Density) else -abs(config.k - 150) + 100.0 * (config.space == "cosine")


def search(seed, trials):
    pytest.importorskip("optuna")
    asked, looking = [], Search(WIDE, seed)
    for _ in range(trials):
        asked.append(looking.ask())
        looking.tell(asked[-1].name, quality(asked[-1]))
    return asked


def best(asked):
    return max(quality(candidate) for candidate in asked if quality(candidate) is not None)


def test_tpe_asks_each_candidate_once_and_repeats_itself():
    asked = search(0, 15)
    assert len(set(names(asked))) == 15
    assert names(asked) == names(search(0, 15))


def test_tpe_finds_better_candidates_than_chance():
    guided = np.mean([best(search(seed, 30)) for seed in range(3)])
    chance = np.mean([best(expand(WIDE, "random", 30, np.random.default_rng(seed))) for seed in range(3)])
    assert guided > chance


def test_tpe_ends_when_all_were_tried():
    pytest.importorskip("optuna")
    looking = Search([item(Means(), k=[1, 2, 3])], seed=0)
    asked = [looking.ask() for _ in range(4)]
    assert asked.pop() is None
    assert sorted(names(asked)) == ["means-k1", "means-k2", "means-k3"]
