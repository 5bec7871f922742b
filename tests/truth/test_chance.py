"""What chance decides, decides nothing: gates go by intervals, choices by ties, and claims hold over a whole report."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from tasks.segments import _lifts
from tasks.selection.choose import choose
from tests.helpers.shops import Shop, buys, failed, judged, only_kept, patched, tasteful

pytestmark = [pytest.mark.usefixtures("prefect_harness"), pytest.mark.slow]

COMPARED = {"lift.recipe", "lift.model", "quality.silhouette", "quality.stability", "coverage.users"}


def opened(place, seed, loyal=0.95, **settings):
    """200 users of five tastes."""
    shop = Shop(place, seed, **settings)
    for u in range(200):
        shop.add("events", buys(shop.rng, f"u{u}", tasteful(shop.rng, u % 5, "A", loyal=loyal)))
    return shop


def search(*ks, **rest):
    return {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": list(ks)}}], **rest}


def test_the_same_recipe_under_another_seed_is_not_refused(tmp_path):
    """Tastes so weak that seeds fall out differently: none of it is a fall of quality, though values say so."""
    fell, policy = 0, {"max_churn": 1.0, "row_change": [0.1, 10]}
    for seed in range(3):
        shop = opened(tmp_path / str(seed), seed, 0.6, search=search(7, warm=False), gates=policy)
        assert shop.retrain().promoted
        for number in range(3):
            told, given = judged(shop, {}, seed=100 * seed + 10 + number)
            assert not failed(told) & COMPARED, told.verdict.failures
            fell += sum(gap.value < -0.02 * gap.base for gap in given.differences.values())
    assert fell, "by the values alone, the same recipe was refused"


def test_what_chance_cannot_tell_apart_goes_to_fewer_segments(tmp_path):
    """Five tastes, and up to ten segments: in every seed five are as good as any, and chance puts others first."""
    chosen, by_value = set(), set()
    for seed in range(3):
        shop, seen = opened(tmp_path / str(seed), seed, search=search(*range(5, 11))), []

        def keep(reports, config, compare, seen=seen):
            seen.append((reports, config))
            return choose(reports, config, compare)

        with patched({"tasks.choose.by_rule": keep}):
            told = shop.retrain()
        assert "a tie" in told.reason
        chosen.add(told.chosen)
        reports, config = seen[0]
        by_value.add(choose(reports, config.model_copy(update={"tie": 0.0})).chosen)
    assert chosen == {"kmeans-k5"}
    assert by_value != {"kmeans-k5"}


@pytest.mark.parametrize("seed", range(3))
def test_a_warm_model_is_as_stable_and_as_sure_as_its_warm_refits(tmp_path, seed):
    """Ten segments of five tastes: where each starts is what they are made of."""
    from tasks.candidates.candidate import refitter
    from tasks.segments import calibration

    shop = opened(tmp_path, seed, search=search(10), select={"min_segment_users": 2},
                  gates={"max_churn": 1.0, "row_change": [0.1, 10], "min_segment_users": 2})  # fmt: skip
    seen: dict[Any, Any] = {}
    assert shop.retrain().promoted

    def keep(where):
        def noted(*args):
            seen[where, args[0].name] = args
            return refitter(*args)

        return noted

    def calibrated(X, found, **rest):
        (start,) = (args for (where, _), args in seen.items() if where == "sure")
        again = calibrate(X, found, **{**rest, "refit": refitter(*cold_of(start))})
        seen["agreement"] = calibrate(X, found, **rest), again
        return seen["agreement"][0]

    calibrate = calibration.fit
    places = {
        "tasks.candidates.figures.refitter": keep("stability"), "tasks.registry.built.refitter": keep("sure"),
        "tasks.segments.calibration.fit": calibrated,
    }  # fmt: skip
    with patched({**places, "flows.steps.warm_candidates": only_kept}):
        told, given = judged(shop, {}, search=search(600), seed=50 + seed)
    assert told.chosen.endswith("-kept"), told.reason
    start = seen["stability", told.chosen]
    *_, X, run = start
    warm, cold = refitter(*start), refitter(*cold_of(start))
    labels, metric = warm(np.arange(len(X)), 0), given.metrics["stability"]
    assert metric.value == pytest.approx(repeated(warm, labels, metric.details["refits"], run.seed), abs=1e-9)
    assert metric.value > repeated(cold, labels, metric.details["refits"], run.seed) + 0.05
    sure, unsure = (found.facts["agreement"] for found in seen["agreement"])
    assert sure > unsure + 0.05


def cold_of(arguments):
    """Arguments of a refitter whose refits start from nowhere."""
    from tasks.candidates.ground import Ground

    candidate, here, *rest = arguments
    return candidate, Ground(here.vectors, here.tables), *rest


def repeated(refit, labels, refits, seed):
    """Mean adjusted Rand index with refits on bootstrap samples, as scikit-learn counts it."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(refits):
        rows = rng.integers(len(labels), size=len(labels))
        found.append(adjusted_rand_score(labels, refit(rows, int(rng.integers(2**31)))))
    return np.mean(found)


@pytest.mark.parametrize("seed", range(3))
def test_users_whom_a_refit_leaves_out_count_against_stability(tmp_path, seed):
    """A radius at which refits let go of users: of those who stay in, the agreement looks better than it is."""
    from tasks.candidates.candidate import refitter

    shop, seen = opened(tmp_path, seed, 0.8), []

    def keep(*args):
        seen.append(args)
        return refitter(*args)

    dense = {"candidates": [{"algorithm": {"kind": "dbscan", "min_samples": 5, "eps": 0.35}}]}
    with patched({"tasks.candidates.figures.refitter": keep}):
        _, given = judged(shop, {}, search=dense, select={"max_noise": 1.0, "max_largest_share": 1.0})
    metric = given.metrics["stability"]
    refit, X, run = refitter(*seen[0]), seen[0][3], seen[0][4]
    labels = refit(np.arange(len(X)), 0)
    rng, inside = np.random.default_rng(run.seed), []
    for _ in range(metric.details["refits"]):
        rows = rng.integers(len(X), size=len(X))
        other = refit(rows, int(rng.integers(2**31)))
        both = (labels >= 0) & (other >= 0)
        inside.append(adjusted_rand_score(labels[both], other[both]))
    assert metric.value == pytest.approx(repeated(refit, labels, metric.details["refits"], run.seed), abs=1e-9)
    assert metric.value < np.mean(inside) - 0.02


def test_a_report_of_segments_that_mean_nothing_claims_nothing(tmp_path):
    """The labels of sixteen segments are dealt out anew before they are described: in no seed is anything claimed."""
    held = sum(claims(tmp_path / f"held{seed}", seed) for seed in range(3))
    each = {f"tasks.segments._lifts.{name}": alone(getattr(_lifts, name)) for name in ("quantile", "student")}
    with patched(each):
        missed = sum(claims(tmp_path / f"missed{seed}", seed) for seed in range(3))
    assert held == 0
    assert missed > 0


def alone(real):
    """As if each comparison were the only one of its report."""
    return lambda comparisons, *rest: real(1, *rest)


def claims(place, seed):
    """How much a report says of segments whose members are any."""
    from tasks.segments.profiles import partial, profiles

    seen = []

    def dealt(bucket, assigned, *rest):
        order = np.random.default_rng(seed).permutation(len(assigned))
        return partial(bucket, assigned.with_columns(label=assigned["label"].gather(order)), *rest)

    def keep(*args):
        seen.extend(profiles(*args))
        return tuple(seen)

    shop = opened(place, seed, search=search(8), features=[{"kind": "behaviour"}, {"kind": "interest"}])
    with patched({"tasks.reporting.segments.partial": dealt, "tasks.reporting.segments.profiles": keep}):
        shop.retrain(ingest={"buckets": 1})
    return sum(len(profile.claims) for profile in seen)
