"""The whole retrain on small planted data, twice: nothing is made twice, and equal input gives equal output."""

import re
from pathlib import Path

import pytest

from flows.config import parse

pytestmark = pytest.mark.usefixtures("prefect_harness")

SMALL = {
    "segmentation": "small",
    "source": {"kind": "synthetic", "users": 300, "segments": 4, "seed": 3},
    "ingest": {"buckets": 2},
    "features": [{"kind": "behaviour"}, {"kind": "interest"}],
    "texts": {},
    "encoder": {"kind": "hashing", "dimension": 32},
    "represent": {"dimension": 8},
    "search": {
        "candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [3, 4]}}, {"algorithm": {"kind": "dbscan"}}]
    },
    "evaluate": {"refits": 3, "bootstraps": 20, "random_draws": 2},
    "calibration": {"folds": 2},
    "gates": {"min_segment_users": 5},
    "select": {"min_segment_users": 5},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, prefect_harness):
    """Two runs of one config in one state folder."""
    from flows.retrain import retrain

    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("home")
        patch.setenv("FENQUN_HOME", str(place))
        config = parse(SMALL, "small")
        first = retrain(config)
        before = {path: path.stat().st_mtime_ns for path in (place / "artifacts").rglob("*.parquet")}
        second = retrain(config)
        yield place, first, second, before


def test_a_first_model_is_promoted_and_published(runs):
    from tasks.stores import pointer, tables

    home, first, *_ = runs
    live = pointer.read(str(home), "small").previous or pointer.read(str(home), "small").live
    assert first.promoted, [gate for gate in first.gates if not gate.passed]
    assert live.model_version == "1"
    published = tables.read(str(home), "small", "assignments", live.tables["assignments"])
    assert len(published) == 300 == published["user_id"].n_unique()
    assert set(published["segment_id"].drop_nulls()) == {profile.segment_id for profile in first.profiles}
    assert sum(profile.size for profile in first.profiles) <= 300


def test_every_candidate_is_a_nested_run_with_the_same_metrics(runs):
    from mlflow import MlflowClient

    home, first, *_ = runs
    client = MlflowClient(tracking_uri=f"sqlite:///{home}/mlflow/mlflow.db")
    nested = client.search_runs([first.experiment_id], f"tags.`mlflow.parentRunId` = '{first.run_id}'")
    assert {run.info.run_name for run in nested} >= {"kmeans-k3", "kmeans-k4"}
    kmeans = [run.data.metrics for run in nested if run.info.run_name.startswith("kmeans")]
    assert kmeans[0].keys() == kmeans[1].keys() >= {"silhouette", "wcss", "stability", "heldout_lift"}
    parent = client.get_run(first.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["fenqun.chosen"] == first.chosen


def test_a_second_run_makes_nothing_anew_and_logs_a_comparable_run(runs):
    from mlflow import MlflowClient

    home, first, second, before = runs
    again = {path: path.stat().st_mtime_ns for path in before}
    assert again == before
    client = MlflowClient(tracking_uri=f"sqlite:///{home}/mlflow/mlflow.db")
    nested = client.search_runs([second.experiment_id], f"tags.`mlflow.parentRunId` = '{second.run_id}'")
    assert len(nested) >= 3
    assert second.run_id != first.run_id
    assert {k: second.metrics[k] for k in ("silhouette", "wcss")} == {
        k: first.metrics[k] for k in ("silhouette", "wcss")
    }


def test_identical_content_registers_no_new_version_and_moves_nobody(runs):
    _, first, second, _ = runs
    assert second.model_version == first.model_version
    assert not second.new_version
    assert [p.segment_id for p in second.profiles] == [p.segment_id for p in first.profiles]
    assert [p.name for p in second.profiles] == [p.name for p in first.profiles]


def test_the_report_stands_alone(runs):
    _, first, *_ = runs
    page = Path(first.report).read_text()
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert "<script" not in page
    assert all(profile.segment_id in page for profile in first.profiles)
