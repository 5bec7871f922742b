"""What a setting or the data leaves out blocks nobody, and is not made up for by something else."""

import numpy as np
import pytest

from flows import steps
from schemas.gates import STABILITY
from tasks.registry import gate_input
from tests.helpers.shops import Shop, buys, failed, patched, tasteful

pytestmark = [pytest.mark.usefixtures("prefect_harness"), pytest.mark.slow]


def opened(place, seed, **settings):
    """150 users of five tastes."""
    shop = Shop(place, seed, **settings)
    for u in range(150):
        shop.add("events", buys(shop.rng, f"u{u}", tasteful(shop.rng, u % 5, "A")))
    return shop


@pytest.mark.parametrize("seed", range(3))
def test_without_refits_a_model_can_go_live(tmp_path, seed):
    shop = opened(tmp_path, seed, evaluate={"refits": 0, "bootstraps": 100, "random_draws": 2, "seeds": 2})
    required = gate_input.required
    with patched({"tasks.registry.gate_input.required": lambda day: (*required(day), STABILITY)}):
        assert failed(shop.retrain()) == {"validity.metrics"}
    told = shop.retrain(seed=40 + seed)
    assert told.promoted, failed(told)
    again = shop.retrain(seed=50 + seed)
    assert again.promoted, failed(again)
    gate = next(gate for gate in again.verdict.gates if gate.name == "quality.stability")
    assert not gate.compared
    assert "evaluate.refits is 0" in gate.why


def out_of_fashion(place, seed):
    """Everybody begins with what is popular and goes on to their taste: at the end popularity hits nobody."""
    shop = Shop(place, seed)
    for u in range(150):
        first = [f"hit{i}" for i in shop.rng.permutation(60)[:12]]
        then = [f"A{u % 5}-{i}" for i in shop.rng.permutation(40)[:28]]
        shop.add("events", ({**event, "timestamp": event["timestamp"].replace(year=2024)}
                            for event in buys(shop.rng, f"u{u}", first, days=30)))  # fmt: skip
        shop.add("events", buys(shop.rng, f"u{u}", then))
    return shop


def undefined(value, base, least):
    """A lift over nothing is none."""
    return (value - base) / base if base else float("nan")


@pytest.mark.parametrize("seed", range(3))
def test_a_slice_in_which_popularity_hits_nobody_can_be_passed(tmp_path, seed):
    shop = out_of_fashion(tmp_path, seed)
    with patched({"tasks.metrics._lift.lift": undefined}):
        assert "validity.metrics" in failed(shop.retrain())
    told = shop.retrain(seed=40 + seed)
    assert told.promoted, failed(told)
    assert told.metrics["heldout_lift.global_precision"] == 0
    again = shop.retrain(seed=50 + seed)
    assert again.promoted, failed(again)


@pytest.mark.parametrize("seed", range(3))
def test_a_search_is_told_one_measure_and_never_another_in_its_place(tmp_path, seed):
    """The candidates of four segments have no lift: their silhouettes, of another scale, are none."""
    from schemas.reports import Metric
    from tasks.metrics import heldout_lift

    told = heldout_lift.told

    def without(found, labels, config, **rest):
        metric = told(found, labels, config, **rest)
        return Metric.of("heldout_lift", np.nan, metric.n, reason="not here") if labels.max() == 3 else metric

    def studied(**targets):
        values = {}

        def search(space, seed, limit, attempt):
            def noted(some):
                found = attempt(some)
                values.update(zip((one.name for one in some), found, strict=True))
                return found

            return real(space, seed, limit, noted)

        real = steps.search
        with patched({"flows.steps.search": search, "tasks.metrics.heldout_lift.told": without, **targets}):
            shop.retrain(search={"mode": "tpe", "limit": 4, "candidates": grid})
        return values

    shop = opened(tmp_path, seed)
    grid = [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [4, 5, 6, 7]}}]
    values = studied()
    assert values["kmeans-k4"] is None
    assert min(value for value in values.values() if value is not None) > 1  # of a lift; no silhouette is
    merit = steps.merit
    mixed = studied(**{"flows.steps.merit": lambda one, scale: merit(one, scale) or one.value("silhouette")})
    assert 0 < mixed["kmeans-k4"] < 1
