"""Searches through the whole flow: algorithms that learn from labels and ties, and candidates chosen step by step."""

from pathlib import Path

import pytest

from flows.config import parse
from tasks.stores import tables
from tests.helpers.configs import SMALL

pytestmark = pytest.mark.usefixtures("prefect_harness")


def retrained(place, **changes):
    """Summary and Contest of a small retrain."""
    from flows.retrain import retrain

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FENQUN_HOME", str(place))
        return retrain(parse({**SMALL, **changes}, "small"))


def nested(place, summary):
    """Candidate -> metrics of its nested run."""
    from mlflow import MlflowClient

    runs = MlflowClient(f"sqlite:///{place}/mlflow/mlflow.db").search_runs(
        [summary.experiment_id], f"tags.`mlflow.parentRunId` = '{summary.run_id}'"
    )
    return {run.data.tags["fenqun.candidate"]: run.data.metrics for run in runs}


@pytest.mark.slow
def test_a_classifier_learns_a_column_that_no_feature_sees_and_communities_the_ties(tmp_path):
    grid = [
        {"algorithm": {"kind": "classifier", "column": "truth_interest", "folds": 3}},
        {"algorithm": {"kind": "communities", "graph": "edges"}},
        {"algorithm": {"kind": "kmeans", "k": 4}},
    ]
    source = {**SMALL["source"], "reveal": ["interest"]}
    told = retrained(tmp_path, source=source, search={"candidates": grid}, evaluate={"truth_column": "truth_interest"})
    metrics = nested(tmp_path, told)
    assert len(metrics) == 3
    classifier = next(values for name, values in metrics.items() if name.startswith("classifier"))
    assert classifier["fit.report.accuracy"] > 0.9
    assert classifier["agreement"] > 0.9
    communities = metrics["communities"]
    assert communities["fit.modularity"] > 0.2


@pytest.mark.slow
def test_the_estimator_tries_no_more_candidates_than_it_may(tmp_path):
    search = {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": list(range(3, 12))}}]}
    told = retrained(tmp_path, search={**search, "mode": "tpe", "limit": 5})
    assert len(nested(tmp_path, told)) == 5


def test_a_candidate_that_cannot_be_fitted_is_refused_and_the_others_go_on(tmp_path):
    search = {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [4, 5000]}}]}
    told = retrained(tmp_path, search=search)
    assert told.chosen == "kmeans-k4"
    assert nested(tmp_path, told)["kmeans-k5000"] == {}
    page = Path(told.report).read_text()
    assert "cannot make 5000 segments" in page[page.index("kmeans-k5000") :]


@pytest.mark.slow
def test_a_deep_candidate_is_registered_and_the_spread_of_its_seeds_is_told(tmp_path):
    deep = {"kind": "deep", "k": 4, "seeds": 3, "epochs": 40}
    grid = [{"algorithm": deep}, {"algorithm": {"kind": "kmeans", "k": 4}}]
    told = retrained(tmp_path, search={"candidates": grid})
    metrics = nested(tmp_path, told)
    assert {"fits", "fits.low", "fits.high", "fits.silhouette", "fits.wcss_low"} <= metrics["deep-k4"].keys()
    assert metrics["deep-k4"]["fits.count"] == 3
    assert "fits" not in metrics["kmeans-k4"]
    (page,) = (tmp_path / "reports").rglob("*.html")
    assert "deep-k4 was fitted from 3 seeds" in page.read_text()
    told = retrained(tmp_path / "alone", search={"candidates": grid[:1]})
    assert told.promoted, told.verdict.failures
    published = tables.read(str(tmp_path / "alone"), "small", "assignments")
    assert published["segment_id"].n_unique() >= 4
