"""Figures of a candidate, and what is told beside them."""

from schemas.reports import EvaluationReport, Metric
from schemas.runs import Candidate
from schemas.settings import SearchItem
from tasks.candidates.attempt import attempt
from tasks.candidates.figures import evaluate_candidate
from tasks.clusterers import dbscan, kmeans
from tasks.reporting.compared import by_k, distinguishing
from tests.helpers.contests import slices
from tests.helpers.days import a_day
from tests.helpers.segmenters import AS_OF, blobs


def test_what_a_fit_found_odd_is_told_with_its_numbers(tmp_path):
    X, _, _ = blobs(120)
    X[7] *= 1e6
    day = a_day(tmp_path, {}, AS_OF, evaluate={"refits": 0, "lift": False})
    made = slices(tmp_path, X)
    tried = attempt(day, Candidate(name="kmeans-k4", algorithm={"kind": "kmeans", "k": 4}), made, None)
    (line,) = evaluate_candidate(day, tried, made, None).warnings
    assert "row 7" in line


def test_fits_from_other_seeds_are_measured_beside_the_one_that_is_kept(tmp_path):
    X, _, _ = blobs(120)
    day = a_day(tmp_path, {}, AS_OF, evaluate={"refits": 0, "lift": False, "seeds": 1})
    made = slices(tmp_path, X)
    told = {}
    for kind, more in (("deep", {"seeds": 3, "epochs": 2, "rounds": 1}), ("kmeans", {})):
        tried = attempt(day, Candidate(name=kind, algorithm={"kind": kind, "k": 6, **more}), made, None)
        told[kind] = evaluate_candidate(day, tried, made, None).metrics["fits"]
    assert told["deep"].details["count"] == 3
    assert told["deep"].value is not None
    assert told["kmeans"].value is None


def measured(candidate: str, config: dict, **values: float) -> EvaluationReport:
    metrics = {name: Metric.of(name, value, 10, details={"cosine": value / 2}) for name, value in values.items()}
    return EvaluationReport(candidate=candidate, kind=config["kind"], params=config, metrics=metrics)


def test_curves_against_k_are_of_one_kind_of_candidate_each():
    reports = [
        measured("kmeans-k4", {"kind": "kmeans", "k": 4}, silhouette=0.5, wcss=9.0, stability=0.8, heldout_lift=0.1),
        measured("kmeans-k12", {"kind": "kmeans", "k": 12}, silhouette=0.4, wcss=5.0),
        measured("kmeans-k4-kept", {"kind": "kmeans", "k": 4}, wcss=7.0),
        measured("hierarchical-k4-ward", {"kind": "hierarchical", "k": 4}, wcss=8.0),
        measured("dbscan", {"kind": "dbscan", "eps": 0.5}, wcss=1.0),
    ]
    assert by_k(reports) == {
        "by_k/kmeans/silhouette": {4: 0.25, 12: 0.2},
        "by_k/kmeans/wcss": {4: 9.0, 12: 5.0},
        "by_k/kmeans/stability": {4: 0.8},
        "by_k/kmeans/lift": {4: 0.1},
        "by_k/kmeans-kept/wcss": {4: 7.0},
        "by_k/hierarchical-ward/wcss": {4: 8.0},
    }


def test_what_is_the_same_in_all_candidates_and_the_default_tells_none_apart():
    items = (
        SearchItem(algorithm=kmeans.Config(max_iter=50), grid={"k": [4, 5], "n_init": [3, 9]}),
        SearchItem(algorithm=dbscan.Config()),
    )
    full = kmeans.Config(k=4, max_iter=50).model_dump(mode="json")
    told = {"kind": "kmeans", "space": "euclidean", "k": 4, "n_init": 3, "max_iter": 50}
    assert distinguishing(measured("kmeans-k4-n_init3", full), items) == told
    one = measured("dbscan", dbscan.Config().model_dump(mode="json"))
    assert distinguishing(one, items) == {"kind": "dbscan", "space": dbscan.Config().space}
