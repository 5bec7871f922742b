"""The rule of choice, step by step on made-up reports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import SelectConfig
from schemas.errors import DataError
from schemas.reports import Difference, EvaluationReport, Metric
from tasks.selection.choose import choose, pareto, refusals


def report(
    name,
    lift=0.4,
    stability=0.8,
    count=20,
    noise=0.0,
    smallest=40,
    largest=0.1,
    silhouette=0.2,
    warm=False,
    churn=None,
    partition="",
    **params,
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
    whole = {"params": params, "metrics": metrics, "warm": warm, "partition": partition}
    return EvaluationReport(candidate=name, kind="kmeans", **whole)


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


def test_ties_go_to_fewer_segments_then_to_the_more_stable_then_by_name():
    assert choose([report("a", 0.4), report("b", 0.3990, stability=0.9)], SelectConfig()).chosen == "b"
    assert choose([report("a", 0.4), report("b", 0.3970, stability=0.9)], SelectConfig()).chosen == "a"
    assert choose([report("a", 0.4, stability=0.9), report("b", 0.4, count=8)], SelectConfig()).chosen == "b"
    assert choose([report("b", 0.4), report("a", 0.4)], SelectConfig()).chosen == "a"
    edge = [report("a", 0.4), report("b", 0.398, stability=0.9)]  # 0.4 - 0.398 is a little more than 0.002
    assert choose(edge, SelectConfig(tie=0.005)).chosen == "b"


def above(low, value=0.1):
    """What a comparison of any two says."""
    return lambda best, other: Difference(value=value, low=low, high=2 * value - low, n=900, base=0.3)


def test_what_other_users_or_another_seed_could_turn_round_is_a_tie():
    space = [report("k20", 0.50, count=20), report("k12", 0.47, count=12), report("k8", 0.30, count=8)]
    apart = {"k12": -0.02, "k8": 0.15}

    def compare(best, other):
        return above(apart[other])(best, other)

    found = choose(space, SelectConfig(), compare)
    assert found.chosen == "k12"
    assert "Other users or another seed could have put k20" in found.reason
    assert "12 segments" in found.reason
    assert choose(space, SelectConfig(), above(0.01)).chosen == "k20"
    assert choose(space, SelectConfig()).chosen == "k20"


def test_what_is_live_already_wins_a_tie_and_nothing_new_is_made():
    kept, again = report("kept", 0.4, stability=1.0, warm=True, churn=0.0), report("again", 0.4, churn=0.0)
    assert choose([kept, again], SelectConfig()).chosen == "again"
    assert choose([kept, report("again", 0.4, churn=0.01)], SelectConfig()).chosen == "kept"


def test_the_price_of_churn_counts_in_a_tie_too():
    warm, fresh = report("warm", 0.40, warm=True, churn=0.0), report("fresh", 0.55, churn=0.10, count=8)
    assert choose([warm, fresh], SelectConfig(), above(0.05)).chosen == "fresh"  # 0.45 against 0.40: a tie, 8 segments
    assert choose([warm, report("fresh", 0.45, churn=0.10, count=8)], SelectConfig(), above(0.06)).chosen == "warm"


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"basis.unknown.interest items": 0.4}, "does not know 40.0% of interest items"),
        ({"basis.silent.social": 0.9}, "sees nothing in social of 90.0%"),
        ({"basis.variance": 0.5}, "keeps 50.0% of the variance"),
    ],
)
def test_a_representation_that_no_longer_covers_the_data_is_refused_with_its_figure(figures, words):
    kept = report("kept", 0.9, warm=True)
    more = {name: Metric.of(name, value, 900) for name, value in figures.items()}
    kept = kept.model_copy(update={"metrics": {**kept.metrics, **more}})
    found = choose([kept, report("fresh", 0.4)], SelectConfig())
    assert found.chosen == "fresh"
    assert words in found.refused["kept"][0]


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


def test_of_the_same_segments_who_asked_for_as_many_is_chosen():
    """Names sort k10 before k4, and the other's stability is better: neither decides."""
    over, exact = report("k10", stability=0.9, count=4, partition="p", k=10), report("k4", count=4, partition="p", k=4)
    found = choose([over, exact], SelectConfig())
    assert found.chosen == "k4"
    assert found.refused == {"k10": ("asked for 10 segments and makes the 4 of k4: there are no more kinds of users",)}
    assert choose([over, report("k4", count=4, partition="q", k=4)], SelectConfig()).chosen == "k10", "other segments"
    left = choose([over, report("k12", count=4, partition="p", k=12)], SelectConfig())
    assert not left.refused, "nobody asked for four"
    assert "k10 was chosen" in left.reason
    assert "It asked for 10 segments; the users make only 4." in left.reason
    itself = report("ward", stability=0.9, count=4, partition="p", k=10, height=0.5)
    assert not choose([itself, exact], SelectConfig()).refused, "a height asks for no number"
    small = report("k4", count=4, partition="p", k=4, smallest=1)
    assert choose([over, small], SelectConfig()).refused.keys() == {"k4"}, "what is refused stands for nobody"


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
