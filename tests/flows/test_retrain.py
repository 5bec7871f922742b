"""The whole retrain on small planted data, twice: nothing is made twice, and equal input gives equal output."""

import re
from pathlib import Path

import pytest

from flows.config import parse
from tests.helpers.configs import SMALL

pytestmark = pytest.mark.usefixtures("prefect_harness")


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
    assert first.promoted, [gate for gate in first.verdict.gates if not gate.passed]
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
    assert {run.data.tags["fenqun.candidate"] for run in nested} >= {"kmeans-k3", "kmeans-k4"}
    kmeans = [run.data.metrics for run in nested if run.info.run_name.startswith("kmeans")]
    assert kmeans[0].keys() == kmeans[1].keys() >= {"silhouette", "wcss", "stability", "heldout_lift"}
    parent = client.get_run(first.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["fenqun.chosen"] == first.chosen
    outcomes = {run.data.tags["fenqun.candidate"]: run.data.tags["fenqun.outcome"] for run in nested}
    assert [name for name, outcome in outcomes.items() if outcome == "chosen"] == [first.chosen]
    assert {"cluster.k", "cluster.kind"} <= set().union(*(run.data.params for run in nested))
    assert [key for run in nested for key in run.data.params if key == "cluster.device"] == []
    for measure in ("silhouette", "wcss", "stability", "lift"):
        steps = [point.step for point in client.get_metric_history(first.run_id, f"by_k/kmeans/{measure}")]
        assert steps == [3, 4], measure


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


def test_the_flow_run_has_one_summary_and_few_other_artifacts(runs):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    _, first, *_ = runs
    with get_client(sync_client=True) as client:
        of = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[first.prefect_run]))
        found = client.read_artifacts(artifact_filter=of)
    (summary,) = [one for one in found if one.key == "summary"]
    assert summary.task_run_id is None
    assert "version 1 of small is live" in summary.data
    assert all(profile.segment_id in summary.data for profile in first.profiles)
    assert first.report in summary.data
    assert len(found) <= 9
    assert {"candidates", "gates", "segments", "report"} <= {one.key for one in found}


def test_items_that_nobody_has_touched_yet_are_known_to_the_model(home):
    """A catalogue is larger than what was bought of it: its texts are read all the same, and stand in the model."""
    from flows.retrain import retrain
    from tasks.models.catalogue import read
    from tasks.stores.ledger import Ledger

    source = {"kind": "synthetic", "users": 80, "segments": 2, "events_per_user": 5, "items": 400, "texts_per_user": 0}
    config = parse({**SMALL, "source": source, "features": [{"kind": "behaviour"}]}, "small")
    told = retrain(config)
    with Ledger(config.ledger, str(home), "small").model_folder(told.model_version) as folder:
        catalogue = read(folder / "artifacts" / "catalogue")
    assert len(catalogue.items) == 400  # more than 80 users can have touched with 5 events each
    assert len(catalogue.known.keys) == catalogue.items["title"].n_unique()


@pytest.mark.slow
def test_texts_alone_make_a_run(home, tmp_path):
    """Nothing but what users wrote: no events, no users, no feature families."""
    from flows.retrain import retrain

    topics = ("roses seeds spade", "train ticket track", "bread oven flour")
    lines = [
        f"u{user},2024-05-{day:02d},{topics[user % 3]} {topics[user % 3]} {day % 4}\n"
        for user in range(60)
        for day in range(1, 9)
    ]
    (tmp_path / "t.csv").write_text("user_id,timestamp,text\n" + "".join(lines))
    source = {"kind": "tables", "root": str(tmp_path), "texts": {"path": "t.csv"}}
    grid = [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [3]}}]
    evaluate = {**SMALL["evaluate"], "lift": False}
    told = retrain(
        parse(
            {**SMALL, "source": source, "features": [], "search": {"candidates": grid}, "evaluate": evaluate}, "small"
        )
    )
    assert sorted(profile.size for profile in told.profiles) == [20, 20, 20]
