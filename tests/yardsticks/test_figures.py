"""Figures of recommended lists: what stands where, of whom, and against what."""

import numpy as np
import pytest
import scipy.sparse as sp

from schemas.evaluation import HeldOut
from schemas.interactions import Items
from schemas.yardsticks import CHAMPION, SEGMENTS
from tasks.yardsticks import figures
from tasks.yardsticks.split import split_of
from tasks.yardsticks.ways import Lists
from tests.helpers.histories import histories

HAD = np.array([[3, 1, 0, 0, 0], [0, 2, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 0, 0]])
THEN = np.array([[0, 0, 1, 1, 0], [1, 0, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]])


def split(everyone=True, repeats=False):
    items = Items(np.array([f"i{item}" for item in range(5)]))
    return split_of(HeldOut(histories(HAD), sp.csr_matrix(THEN * 1.0)), items, 2, repeats, everyone)


def test_all_users_are_asked_or_those_with_something_to_find():
    assert split().asked.tolist() == [0, 1, 2, 3]
    late = split(everyone=False)
    assert late.asked.tolist() == [0, 1, 2]
    assert late.known().tolist() == [4, 3, 0], "events, not items"
    assert late.counts() == {"warm_users": 2, "cold_users": 1, "warm_items_held_out": 3, "cold_items_held_out": 2}
    assert late.catalogue == 4, "of the last item nobody knows"


def test_figures_by_hand():
    here = split(everyone=False)
    lists = Lists((np.array([[2, 3], [0, 3], [0, 1]]),), 0.0)
    values = figures.per_user(here, lists)
    assert values["precision"].tolist() == [1.0, 0.5, 0.5]
    rows = {0: np.array([False, False, True]), 3: np.array([True, True, False]), 10: np.zeros(3, bool)}
    way = figures.way("ease", here, lists, values, rows)
    assert way.figures["precision"] == pytest.approx(2 / 3)
    assert way.figures["recall"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert way.figures["coverage"] == 1.0
    assert way.bands[0]["precision"] == 0.5
    assert way.bands[3]["precision"] == 0.75
    assert set(way.bands) == {0, 3}, "nobody has ten events"
    assert way.cold_items == 0.5, "of the fourth item, which two took, one was told"
    assert "diversity" not in way.figures, "nothing is known of the items"


def test_draws_are_averaged():
    here = split(everyone=False)
    good, bad = np.array([[2, 3], [0, 3], [1, 3]]), np.array([[4, -1], [4, -1], [4, -1]])
    both = figures.per_user(here, Lists((good, bad), 0.0))
    assert both["precision"].tolist() == [0.5, 0.25, 0.5]


def test_the_strongest_popularity_is_the_baseline():
    values = {
        name: {"precision": np.array([one])}
        for name, one in (("ease", 0.9), ("global_popularity", 0.2), ("recent_popularity", 0.3))
    }
    assert figures.baseline(values) == "recent_popularity"


def test_a_gap_is_told_with_what_chance_could_make_it():
    rng = np.random.default_rng(0)
    base = rng.random(400)
    values = {
        "global_popularity": {"precision": base},
        SEGMENTS: {"precision": base + 0.1 + 0.1 * rng.normal(size=400)},
        CHAMPION: {"precision": base + 0.3},
        "noise": {"precision": base + 0.1 * rng.normal(size=400)},
    }
    half = np.arange(400) < 200
    ways, groups = figures.against(values, "global_popularity", {"s001": half, "s002": ~half}, 10, 1000, rng)
    assert {name: one.saying for name, one in ways.items()} == {
        SEGMENTS: "helps", CHAMPION: "helps", "noise": "no evidence",
    }  # fmt: skip
    assert {one.saying for one in groups.values()} == {"helps"}
    assert [one.gap.n for one in groups.values()] == [200, 200]
    assert groups["s001"].gap.base == pytest.approx(base[half].mean())
    assert all(one.adjusted >= one.p for one in (*ways.values(), *groups.values()))
    fallen = figures.over_champion(values, 1000, rng)
    assert fallen.value == pytest.approx(-0.2, abs=0.02)
    assert fallen.high < 0
    assert figures.over_champion({SEGMENTS: values[SEGMENTS]}, 10, rng) is None


def test_where_popularity_finds_nothing_a_lift_is_a_number():
    values = {"global_popularity": {"precision": np.zeros(50)}, SEGMENTS: {"precision": np.full(50, 0.1)}}
    ways, _ = figures.against(values, "global_popularity", {}, 10, 200, np.random.default_rng(0))
    assert ways[SEGMENTS].lift.value == pytest.approx(0.1 * 50 * 10)
