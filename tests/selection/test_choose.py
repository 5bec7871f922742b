"""The rule of choice, step by step on made-up reports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import SelectConfig
from schemas.errors import DataError
from schemas.reports import EvaluationReport, Metric
from tasks.selection.choose import choose, pareto, refusals


def report(
    name, lift=0.4, stability=0.8, count=20, noise=0.0, smallest=40, largest=0.1, silhouette=0.2, warm=False, churn=None
):
    sizes = {"count": count, "smallest_users": smallest, "largest_share": largest}
    metrics = {
        "heldout_lift": Metric.of("heldout_lift", float("nan") if lift is None else lift, 900),
        "stability": Metric.of("stability", stability, 900),
        "noise_share": Metric.of("noise_share", noise, 900),
        "silhouette": Metric.of("silhouette", 0.9, 900, details={"cosine": silhouette}),
        "balance": Metric.of("balance", 0.7, 900, details=sizes),
    }
    if churn is not None:
        metrics["churn"] = Metric.of("churn", churn, 900)
    return EvaluationReport(candidate=name, kind="kmeans", params={}, metrics=metrics, warm=warm)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"noise": 0.31}, "31.0%"),
        ({"count": 2}, "2 segments"),
        ({"smallest": 9}, "9 users"),
        ({"largest": 0.95}, "95.0%"),
    ],
)
def test_each_bound_refuses_with_its_number(changed, word):
    (reason,) = refusals(report("a", **changed), SelectConfig())
    assert word in reason


def test_bounds_themselves_are_allowed():
    assert refusals(report("a", noise=0.3, count=3, smallest=10, largest=0.9), SelectConfig()) == ()


def test_all_noise_is_refused():
    empty = EvaluationReport(
        candidate="a", kind="dbscan", params={},
        metrics={"balance": Metric.of("balance", float("nan"), 0), "noise_share": Metric.of("noise_share", 1.0, 9)},
    )  # fmt: skip
    assert len(refusals(empty, SelectConfig())) == 2


def test_highest_lift_wins_and_the_refused_never():
    found = choose([report("a", 0.3), report("b", 0.5), report("c", 0.9, noise=0.5)], SelectConfig())
    assert found.chosen == "b"
    assert found.ranking == ("b", "a")
    assert list(found.refused) == ["c"]
    assert "0.5000" in found.reason
    assert "0.3000" in found.reason


def test_ties_go_to_the_more_stable_then_to_fewer_segments_then_by_name():
    assert choose([report("a", 0.4), report("b", 0.3990, stability=0.9)], SelectConfig()).chosen == "b"
    assert choose([report("a", 0.4), report("b", 0.3970, stability=0.9)], SelectConfig()).chosen == "a"
    assert choose([report("a", 0.4), report("b", 0.4, count=8)], SelectConfig()).chosen == "b"
    assert choose([report("b", 0.4), report("a", 0.4)], SelectConfig()).chosen == "a"
    edge = [report("a", 0.4), report("b", 0.398, stability=0.9)]  # 0.4 - 0.398 is a little more than 0.002
    assert choose(edge, SelectConfig(tie=0.005)).chosen == "b"


def test_a_missing_lift_comes_last_and_is_no_tie():
    assert choose([report("a", None, stability=1.0), report("b", 0.1)], SelectConfig()).ranking == ("b", "a")


def test_without_any_lift_silhouette_of_one_space_decides():
    found = choose([report("a", None, silhouette=0.1), report("b", None, silhouette=0.3)], SelectConfig())
    assert found.chosen == "b"
    assert "No candidate has held-out lift" in found.reason
    assert "silhouette decided" in found.reason


def test_a_fresh_candidate_pays_for_its_churn():
    warm = report("warm", 0.40, warm=True, churn=0.02)
    assert choose([warm, report("fresh", 0.45, churn=0.20)], SelectConfig()).chosen == "warm"
    assert choose([warm, report("fresh", 0.60, churn=0.20)], SelectConfig()).chosen == "fresh"
    assert choose([warm, report("fresh", 0.45, churn=0.20)], SelectConfig(churn_price=0)).chosen == "fresh"


def test_all_refused_says_why_for_each():
    with pytest.raises(DataError, match=r"a: 2 segments.*b: 50\.0%"):
        choose([report("a", count=2), report("b", noise=0.5)], SelectConfig())


@pytest.mark.parametrize("reports", [[], [report("a"), report("a")]])
def test_candidates_must_be_there_and_named_apart(reports):
    with pytest.raises(DataError, match="named apart"):
        choose(reports, SelectConfig())


def test_a_reason_given_in_the_report_counts():
    given_up = report("a", 0.9).model_copy(update={"refused": ("did not converge",)})
    assert choose([given_up, report("b", 0.1)], SelectConfig()).refused == {"a": ("did not converge",)}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8))
def test_pareto_is_what_no_other_beats(points):
    reports = [report(str(at), lift / 10, stability=stable / 10) for at, (lift, stable) in enumerate(points)]
    beaten = {
        str(at)
        for at, mine in enumerate(points)
        if any(o[0] >= mine[0] and o[1] >= mine[1] and o != mine for o in points)
    }
    assert set(pareto(reports, ("heldout_lift", "stability"))) == {r.candidate for r in reports} - beaten
