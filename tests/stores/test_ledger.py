"""The ledger on a real SQLite MLflow: names that MLflow takes, versions that are not doubled, aliases that follow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import LedgerConfig
from schemas.errors import FenqunError
from schemas.reports import EvaluationReport, Metric
from tasks.serving.requests import EXAMPLE
from tasks.stores.flat import flat_metrics, flatten, legal
from tasks.stores.ledger import Ledger


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return Ledger(LedgerConfig(), str(tmp_path_factory.mktemp("home")), "shop")


def test_candidates_are_nested_runs_that_compare_by_the_same_names(ledger: Ledger):
    parent = ledger.start("retrain", {"seed": 7, "represent": {"weights": {"text": 2}}}, {})
    for k, value in ((5, 0.2), (8, 0.3)):
        metrics = {"silhouette": Metric.of("silhouette", value, 10, details={"cosine": value}, interval=(0.1, 0.4))}
        report = EvaluationReport(candidate=f"kmeans-k{k}", kind="kmeans", params={"k": k}, metrics=metrics,
                                  warnings=("row 3 is extreme",) if k == 8 else ())  # fmt: skip
        ledger.candidate(parent, report)
    found = ledger.client.search_runs([ledger.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert sorted(run.data.params["cluster.k"] for run in found) == ["5", "8"]
    assert all({"silhouette", "silhouette.cosine", "silhouette.low"} <= run.data.metrics.keys() for run in found)
    assert {run.data.tags.get("fenqun.warnings") for run in found} == {None, "row 3 is extreme"}
    assert ledger.client.get_run(parent).data.params["represent.weights.text"] == "2"


@pytest.mark.parametrize(
    "word", ["R&B", "Crime, Thriller", "50%+", "[z]", "and/or", "点击", "😀", "a\nb", "x" * 400, ""]
)
def test_words_of_the_data_may_stand_in_names(ledger: Ledger, word: str):
    run_id = ledger.start("words", {"describe": {"glossary": {word: "music", f"{word}?": "more"}}}, {})
    assert sorted(ledger.client.get_run(run_id).data.params.values()) == ["more", "music"]
    metrics = {f"fit.report.per_class.{name}.f1": Metric.of("f1", 0.5, 3) for name in (word, f"{word}?")}
    ledger.metrics(run_id, flat_metrics(metrics))
    assert list(ledger.client.get_run(run_id).data.metrics.values()) == [0.5, 0.5]


def test_plain_names_stay_as_they_are():
    assert legal("fit.report.per_class.18-24 años.f1") == "fit.report.per_class.18-24 años.f1"


def test_missing_metrics_are_left_out_never_sent_as_nan():
    metrics = {"a": Metric.of("a", float("nan"), 3), "b": Metric.of("b", float("inf"), 3), "c": Metric.of("c", 1.0, 3)}
    assert flat_metrics(metrics) == {"c": 1.0}


@given(st.recursive(st.integers(), lambda inner: st.dictionaries(st.text("ab", min_size=1), inner, max_size=3)))
def test_flattening_keeps_every_leaf(value):
    def leaves(node) -> int:
        return sum(leaves(inner) for inner in node.values()) if isinstance(node, dict) else 1

    assert len(flatten({"x": value})) == leaves(value)


def test_a_failed_block_closes_its_run_as_failed(ledger: Ledger):
    with pytest.raises(ValueError, match="boom"), ledger.recorded("x", {}, {}) as run_id:
        raise ValueError("boom")
    assert ledger.client.get_run(run_id).info.status == "FAILED"


def test_identical_content_keeps_its_version_and_aliases_follow(ledger: Ledger, tmp_path: Path):
    model = {name: tmp_path / name for name in ("bundle", "catalogue")}
    for folder in model.values():
        folder.mkdir()
        (folder / "facts.json").write_text("{}")
    run_id = ledger.start("retrain", {}, {})
    first = ledger.register(run_id, model, "a" * 64, "two segments", EXAMPLE)
    again = ledger.register(run_id, model, "a" * 64, "two segments", EXAMPLE)
    other = ledger.register(run_id, model, "b" * 64, "three segments", EXAMPLE)
    assert (first, again, other) == ("1", "1", "2")
    ledger.mirror("2", "1")
    aliases = ledger.client.get_registered_model("shop").aliases
    assert {name: str(version) for name, version in aliases.items()} == {"champion": "2", "previous": "1"}
    files = {file.path for file in ledger.client.list_artifacts(run_id, "model")}
    assert not any(path.endswith(".pkl") for path in files)
    model = ledger.client.get_model_version("shop", "1")
    folder = Path(model.source.removeprefix("file://"))
    assert "signature" in (folder / "MLmodel").read_text()
    assert json.loads((folder / "serving_input_example.json").read_text())["dataframe_split"]["columns"] == [*EXAMPLE]


def test_an_unreachable_server_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    lost = Ledger(LedgerConfig(tracking_uri="http://127.0.0.1:9"), str(tmp_path), "shop")
    with pytest.raises(FenqunError, match=r"http://127\.0\.0\.1:9") as caught:
        _ = lost.experiment_id
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_two_first_runs_at_once_share_one_ledger(tmp_path: Path):
    code = (
        "import sys; from schemas.config import LedgerConfig; from tasks.stores.ledger import Ledger; "
        "print(Ledger(LedgerConfig(), sys.argv[1], 'shop').experiment_id)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "home")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    told = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], told
    assert len({out.strip() for out, _ in told}) == 1
