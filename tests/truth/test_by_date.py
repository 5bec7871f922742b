"""The second protocol, through the flow: leaks are found, and a model that is worse after a date is refused."""

import numpy as np
import pytest

from schemas.errors import DataError
from schemas.yardsticks import CHAMPION, SEGMENTS
from tasks.yardsticks.sides import groups_of
from tests.helpers.shops import Shop, buys, failed, gates_without, patched, tasteful

pytestmark = [pytest.mark.usefixtures("prefect_harness"), pytest.mark.slow]

POPULAR = {
    "refits": 3, "bootstraps": 100, "random_draws": 2, "seeds": 3, "resamples": 400,
    "yardsticks": [{"kind": "global_popularity"}],
}  # fmt: skip


def shop(place, seed):
    """200 users with tastes, whose purchases are spread over sixty days."""
    made = Shop(place, seed, evaluate=POPULAR)
    for u in range(200):
        made.add("events", buys(made.rng, f"u{u}", tasteful(made.rng, u % 5, "A", 30)))
    return made


def everything(tables, users, moment, choices=()):
    """Held-out events that are in what is learned from too."""
    from tasks.candidates.heldout import heldout_after
    from tasks.numerics.interactions import cells, interactions_of
    from tasks.stores.buckets import read_frames

    held = heldout_after(tables, users, moment, choices)
    parts = [cells(frame, users, held.items) for frame in read_frames(tables["events"])]
    return type(held)(interactions_of(parts, *held.train.shape, held.train.moment), held.test, held.items)


@pytest.mark.parametrize("seed", range(3))
def test_leaks_from_after_the_date_are_found(tmp_path, seed):
    made = shop(tmp_path, seed)
    with (
        patched({"tasks.yardsticks.sides.heldout_after": everything}),
        pytest.raises(DataError, match="later than the"),
    ):
        made.retrain()
    whole = {"flows.steps.as_known": lambda then, changes=None: all_of(made, then, changes)}
    with patched(whole), pytest.raises(DataError, match="know what is held out"):
        made.retrain()
    with (
        patched({"flows.steps.SHARES": {"all": 1.0, "choosing": 0.7, "proving": 1.0}}),
        pytest.raises(DataError, match="know what is held out"),
    ):
        made.retrain()
    told = made.retrain()
    assert told.promoted, failed(told)
    assert told.metrics[f"proof.date.{SEGMENTS}.precision"] > told.metrics["proof.date.global_popularity.precision"]


def all_of(made, then, changes):
    """Vectors of today in place of those of the date."""
    from dataclasses import replace

    from flows.steps import cut, vectors

    late = then.context.model_copy(update={"as_of": then.landed.as_of})
    today = replace(then, context=late)
    return vectors(today, cut(today, 1.0), changes)


def shuffled(day, trained, *rest):
    """The candidate's groups without their meaning, as of a date."""
    found = groups_of(day, trained, *rest)
    if day.as_of < day.landed.as_of and CHAMPION in found:
        found[SEGMENTS] = np.random.default_rng(0).permuted(found[SEGMENTS], axis=1)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_is_worse_after_a_date_is_refused(tmp_path, seed):
    made = shop(tmp_path, seed)
    assert made.retrain().promoted
    made.add("events", buys(made.rng, "u0", tasteful(made.rng, 0, "A", 5)))
    with patched({"tasks.yardsticks.sides.groups_of": shuffled}):
        told = made.retrain()
        assert failed(told) == {"lift.date"}
        made.add("events", buys(made.rng, "u1", tasteful(made.rng, 1, "A", 5)))
        with gates_without("lift_date"):
            assert made.retrain().promoted, "what nobody measures after a date goes live"
