"""The table of ways to recommend, on planted truth: verdicts are right where segments matter and where they don't."""

import numpy as np
import pytest
import scipy.sparse as sp

from schemas.config import EvaluateConfig
from schemas.interactions import Items
from schemas.yardsticks import RANDOM, SEGMENTS
from tasks.recommenders import global_popularity
from tasks.yardsticks.split import Split
from tasks.yardsticks.table import measured
from tests.helpers.histories import histories

FEW = {"yardsticks": [], "bootstraps": 50, "random_draws": 2, "resamples": 400}


def shop(seed, matters, users=240, items=80, tastes=4):
    """Users who like the items of their own taste best, or who all like the same ones, cut at 80 %."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(tastes, size=users)
    own = np.where(taste[:, None] == np.arange(items) % tastes, 0.7, 0.02) if matters else 0.2
    chance = own * (1.6 / (1 + np.arange(items) // tastes / 4))
    liked = rng.random((users, items)) < chance
    held = liked & (rng.random((users, items)) < 0.3)
    known = Items(np.array([f"i{item}" for item in range(items)]))
    split = Split(histories(liked & ~held), sp.csr_matrix(held.astype(float)), np.arange(users), known, 10)
    return split, taste


def told(split, labels, **changes):
    """The table of a split whose users are in these segments."""
    rng = np.random.default_rng(0)
    groups = {SEGMENTS: labels[None], RANDOM: np.stack([rng.permutation(labels) for _ in range(2)])}
    members = {f"s{label:03}": labels == label for label in np.unique(labels)}
    config = EvaluateConfig(**{**FEW, **changes})
    return measured("user", split, groups, members, config, 1)


@pytest.mark.parametrize("seed", range(5))
def test_verdicts_are_right_where_segments_matter_and_where_they_do_not(seed):
    own = (global_popularity.Config(),)
    split, taste = shop(seed, matters=True)
    good = told(split, taste, yardsticks=own)
    assert good.baseline == "global_popularity"
    assert good.way(SEGMENTS).against.saying == "helps"
    assert {one.saying for one in good.segments.values()} == {"helps"}
    assert good.way(RANDOM).against.saying != "helps"
    split, taste = shop(seed, matters=False)
    idle = told(split, taste, yardsticks=own)
    assert idle.way(SEGMENTS).against.saying != "helps"
    assert "helps" not in {one.saying for one in idle.segments.values()}
