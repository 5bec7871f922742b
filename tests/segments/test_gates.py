"""What each gate asks, number by number; that planted faults reach these numbers is tested through the flow."""

import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import UsageError
from schemas.gates import (
    BY_DATE,
    CATALOGUE,
    MODEL,
    OVER_CHANCE,
    OVER_RANDOM,
    PRECISION,
    RECIPE,
    SILHOUETTE,
    STABILITY,
    UNASSIGNED,
    UNSEEN,
    USERS,
    GateConfig,
    GateInput,
    GroupFigures,
)
from schemas.reports import Difference, Metric
from tasks.phrases.words import Words
from tasks.segments import gates

NOW = datetime(2026, 1, 31, tzinfo=UTC)
POLICY = GateConfig(slices=("gender",), max_data_age_days=7)
COMPARED = (USERS, CATALOGUE, SILHOUETTE, STABILITY, RECIPE, MODEL, BY_DATE, UNSEEN)


def gap(value=0.01, low=-0.01, base=0.5, **rest):
    return Difference(value=value, low=low, high=2 * value - low, base=base, n=100, **rest)


def lift(low=0.1):
    return Metric(name="lift", value=0.5, n=100, interval=(0.3, 0.7), details={"intervals": {OVER_RANDOM: (low, 0.9)}})


def good(**facts):
    """Everything the gates look at, of a candidate that is a little better than the champion."""
    found = {
        "champion": "1", "known": 100, "rows": 100, "distinct": 100, "unassigned": 10,
        "sizes": {"s001": 40, "s002": 50},
        "metrics": {RECIPE: lift(), MODEL: lift(), SILHOUETTE: Metric(name=SILHOUETTE, value=0.3, n=100),
                    STABILITY: Metric(name=STABILITY, value=0.9, n=100, interval=(0.8, 0.95))},
        "differences": {name: gap() for name in (*COMPARED, OVER_CHANCE)}, "shifted": 0, "leaked": 0, "now": NOW,
        "newest_event": NOW - timedelta(days=1), "previous_users": 95, "broken": (),
        "kept": 0.95,
        "churn": Metric(name="churn", value=0.1, n=95),
        "groups": {"gender": {name: group() for name in ("f", "m")}},
    }  # fmt: skip
    return GateInput(**{**found, **facts})


def group(n=50, **changes):
    against = {UNASSIGNED: gap(0.0), PRECISION: gap(), **changes}
    return GroupFigures(n=n, unassigned=0.1, against={name: one for name, one in against.items() if one is not None})


def differing(**changes):
    return good(
        differences={
            name: one
            for name in (*COMPARED, OVER_CHANCE)
            if (one := changes.get(name.replace(".", "_"), gap())) is not None
        }
    )


def grouped(**changes):
    return good(groups={"gender": {"f": group(**changes), "m": group()}})


def metric(name, value):
    return good(metrics={**good().metrics, name: value})


FIRST = {"champion": None, "differences": {OVER_CHANCE: gap()}, "churn": None, "kept": None, "previous_users": None}
"""Nothing is live."""
FALLEN = gap(-0.2, -0.3)
FAULTS = {
    "NaN metric": (lambda: metric(STABILITY, Metric(name="x", value=math.nan, n=9)), "validity.metrics"),
    "infinite interval": (lambda: metric(RECIPE, lift().model_copy(update={"interval": (0.1, math.inf)})),
                          "validity.metrics"),
    "metric missing": (lambda: metric(MODEL, Metric(name="x", value=None, n=0)), "validity.metrics"),
    "users without a row": (lambda: good(known=109), "validity.rows"),
    "a user twice": (lambda: good(distinct=99), "validity.rows"),
    "users not counted": (lambda: good(known=None), "validity.rows"),
    "nobody": (lambda: good(known=0, rows=0, distinct=0), "validity.rows"),
    "noise": (lambda: good(unassigned=40, sizes={"s001": 30, "s002": 30}), "validity.unassigned"),
    "a splinter": (lambda: good(sizes={"s001": 4, "s002": 36, "s003": 50}), "validity.smallest"),
    "one giant": (lambda: good(known=200, rows=200, distinct=200, unassigned=0, sizes={"s001": 189, "s002": 11}),
                  "validity.largest"),
    "a segment lost on the way": (lambda: good(sizes={"s001": 40, "s002": 20}), "validity.sizes"),
    "another vector": (lambda: good(shifted=1), "validity.vectors"),
    "vectors not tried": (lambda: good(shifted=None), "validity.vectors"),
    "sees the future": (lambda: good(leaked=1), "validity.leak"),
    "future not tried": (lambda: good(leaked=None), "validity.leak"),
    "fewer users covered": (lambda: differing(coverage_users=FALLEN), "coverage.users"),
    "narrower catalogue": (lambda: differing(coverage_catalogue=FALLEN), "coverage.catalogue"),
    "a group left out": (lambda: grouped(unassigned=gap(0.2, 0.1)), "slices.unassigned"),
    "a group served worse": (lambda: grouped(precision=FALLEN), "slices.lift"),
    "a group without figures": (lambda: grouped(precision=None), "slices.lift"),
    "a column without groups": (lambda: good(groups={}), "slices.unassigned"),
    "blurred": (lambda: differing(silhouette=FALLEN), "quality.silhouette"),
    "not repeatable": (lambda: differing(stability=FALLEN), "quality.stability"),
    "everybody moves": (lambda: good(churn=Metric(name="churn", value=0.9, n=95)), "churn"),
    "churn not measured": (lambda: good(churn=None), "churn"),
    "a weaker recipe": (lambda: differing(lift_recipe=FALLEN), "lift.recipe"),
    "a weaker model": (lambda: differing(lift_model=FALLEN), "lift.model"),
    "weaker where neither has looked": (lambda: differing(lift_unseen=FALLEN), "lift.unseen"),
    "weaker after a date": (lambda: differing(lift_date=FALLEN), "lift.date"),
    "the champion not measured by date": (lambda: differing(lift_date=None), "lift.date"),
    "a narrower choice than chance": (lambda: differing(coverage_random=gap(-0.03)), "coverage.random"),
    "chance not measured": (lambda: good(differences={name: gap() for name in COMPARED}), "coverage.random"),
    "a comparison lost": (lambda: good(differences={}), "lift.recipe"),
    "recipe no better than random": (lambda: metric(RECIPE, lift(-0.1)), "random.recipe"),
    "model no better than random": (lambda: metric(MODEL, lift(-0.1)), "random.model"),
    "stale": (lambda: good(newest_event=NOW - timedelta(days=30)), "data.fresh"),
    "from the future": (lambda: good(newest_event=NOW + timedelta(days=1)), "data.fresh"),
    "no dates": (lambda: good(newest_event=None), "data.fresh"),
    "truncated": (lambda: good(previous_users=400), "data.rows"),
    "others in their place": (lambda: good(kept=0.5), "data.kept"),
    "nobody asked who is still there": (lambda: good(kept=None), "data.kept"),
    "doubled": (lambda: good(previous_users=25), "data.rows"),
    "broken tables": (lambda: good(broken=("segments.size",)), "published"),
    "tables not looked at": (lambda: good(broken=None), "published"),
}  # fmt: skip


@pytest.mark.parametrize("fault", [*FAULTS, "none", "first"])
def test_what_a_gate_says_has_its_chinese(fault):
    """A marketer reads it on the page; names of gates and columns are no sentences."""
    candidate = {"none": good, "first": lambda: good(**FIRST)}.get(fault) or FAULTS[fault][0]
    policies = (POLICY, GateConfig(), GateConfig(slices=("gender",), min_slice_users=90), GateConfig(drift_reason="甲"))
    for policy in policies:
        found = gates.verdict(candidate(), policy)
        for words in (found.counted, *(text for gate in found.gates for text in (gate.why, gate.bound))):
            assert not re.search(r"[A-Za-z]{2,} [a-z]{2,}|: ", Words("zh").told(words)), words


def test_a_better_candidate_is_promoted_and_so_is_a_first_one():
    for candidate in (good(), good(**FIRST)):
        found = gates.verdict(candidate, POLICY, decided_at=NOW)
        assert found.promoted, found.failures
        assert len({gate.name for gate in found.gates}) == len(gates.GATES)
        assert found.decided_at == NOW


@pytest.mark.parametrize("case", FAULTS)
def test_each_number_that_is_wrong_refuses_with_its_reason(case):
    build, reason = FAULTS[case]
    found = gates.verdict(build(), POLICY)
    assert not found.promoted
    assert reason in {gate.name for gate in found.failures}
    assert all(gate.why and gate.bound for gate in found.failures)


@pytest.mark.parametrize("gate", gates.GATES, ids=lambda gate: gate.__name__)
def test_without_any_one_gate_something_bad_gets_in(gate):
    others = tuple(one for one in gates.GATES if one is not gate)
    assert any(gates.verdict(build(), POLICY, gates=others).promoted for build, _ in FAULTS.values())


def test_refusal_is_the_default():
    assert not gates.verdict(good(), POLICY, gates=()).promoted


def test_what_compares_nothing_says_so_and_is_not_counted():
    found = gates.verdict(good(**FIRST), GateConfig())
    silent = {gate.name for gate in found.gates if not gate.compared}
    assert silent == {*COMPARED[:2], "quality.silhouette", "quality.stability", *COMPARED[4:], "churn",
                      "slices.unassigned", "slices.lift", "data.kept"}  # fmt: skip
    assert (
        found.counted == f"{len(gates.GATES) - 12} of {len(gates.GATES) - 12} gates passed, 12 had nothing to compare"
    )
    alone = good(
        incomparable={UNSEEN: "3 users, fewer than 100"}, differences={n: gap() for n in (*COMPARED[:-1], OVER_CHANCE)}
    )
    gate = gates.lift_unseen(alone, POLICY)
    assert (gate.passed, gate.compared, "3 users" in gate.why) == (True, False, True)


@given(value=st.floats(-1, 1), half=st.floats(0, 1), margin=st.floats(0, 0.5))
def test_a_fall_beyond_the_margin_is_refused_and_a_sure_one_must_surely_be_small(value, half, margin):
    found = gates.silhouette(
        differing(silhouette=gap(value, value - half)), POLICY.model_copy(update={"silhouette_margin": margin})
    )
    within, surely_below = value >= -margin - 1e-9, value + half < -1e-9
    surely_within = value - half >= -margin - 1e-9
    assert found.passed is (surely_within or (within and not surely_below))


@given(value=st.floats(-1, 1), base=st.floats(0.01, 1))
def test_the_margin_of_lift_is_a_share_of_the_champions_precision(value, base):
    found = gates.lift_model(differing(lift_model=gap(value, value, base)), GateConfig(lift_margin=0.1))
    assert found.passed is (value >= -0.1 * base - 1e-9)


@given(fall=st.floats(0, 1), half=st.floats(0, 1))
def test_a_group_is_left_behind_where_it_surely_fell_beyond_the_margin(fall, half):
    found = gates.slice_unassigned(grouped(unassigned=gap(fall, fall - half)), POLICY)
    assert found.passed is not (fall > 0.1 + 1e-9 and fall - half > 0)


def test_small_groups_are_not_judged_and_a_champion_that_hits_nobody_cannot_be_missed():
    few = good(groups={"gender": {"f": group(n=3, unassigned=gap(1.0, 1.0))}})
    assert not gates.slice_unassigned(few, POLICY).compared
    assert gates.slice_lift(grouped(precision=gap(0.0, 0.0, base=0.0)), POLICY).passed


def test_what_nobody_recommends_is_no_reason_to_refuse():
    metrics = {name: one for name, one in good().metrics.items() if name not in (RECIPE, MODEL)}
    why = dict.fromkeys((CATALOGUE, RECIPE, MODEL, BY_DATE, UNSEEN, OVER_CHANCE), "nothing is recommended here")
    gaps = {name: gap() for name in COMPARED if name not in why}
    given = good(metrics=metrics, required=(SILHOUETTE,), differences=gaps, incomparable=why)
    found = gates.verdict(given, POLICY)
    assert found.promoted
    assert not {gate.name: gate for gate in found.gates}["random.recipe"].compared


def test_a_drift_reason_excuses_measured_churn_and_a_blank_one_nothing():
    moved = good(churn=Metric(name="churn", value=0.9, n=95))
    told = POLICY.model_copy(update={"drift_reason": "the catalogue was replaced on 2026-01-15"})
    assert gates.verdict(moved, told).promoted
    assert "the catalogue was replaced" in gates.churn(moved, told).why
    assert not gates.verdict(moved, POLICY.model_copy(update={"drift_reason": "  "})).promoted
    assert not gates.verdict(good(churn=None), told).promoted


def test_an_override_names_who_and_why_and_hides_nothing():
    found = gates.verdict(good(shifted=1), POLICY, decided_at=NOW)
    forced = gates.override(found, "Li Na", "campaign starts\n tomorrow")
    assert forced.promoted
    assert forced.override == "Li Na: campaign starts tomorrow"
    assert (forced.gates, forced.failures, forced.decided_at) == (found.gates, found.failures, NOW)
    for author, reason in (("", "x"), ("x", "  ")):
        with pytest.raises(UsageError, match="reason"):
            gates.override(found, author, reason)
