"""The ledger on a real SQLite MLflow: names that MLflow takes, versions that are not doubled, aliases that follow."""

import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from time import sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import LedgerConfig
from schemas.errors import DataError, FenqunError
from schemas.reports import Choice, EvaluationReport, Metric
from tasks.serving.requests import EXAMPLE
from tasks.stores import notes
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
        ledger.candidate(parent, report, report.params)
    found = ledger.client.search_runs([ledger.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert sorted(run.data.params["cluster.k"] for run in found) == ["5", "8"]
    assert all({"silhouette", "silhouette.cosine", "silhouette.low"} <= run.data.metrics.keys() for run in found)
    assert {run.data.tags.get("fenqun.warnings") for run in found} == {None, "row 3 is extreme"}
    assert ledger.client.get_run(parent).data.params["represent.weights.text"] == "2"


def test_a_candidate_says_whether_it_was_chosen_and_whose_it_is(ledger: Ledger):
    with ledger.recorded("retrain", {}, {}) as parent:
        for k, refused in ((5, ()), (8, ()), (9, ("too small",))):
            report = EvaluationReport(candidate=f"kmeans-k{k}", kind="kmeans", params={}, metrics={}, refused=refused)
            ledger.candidate(parent, report, {"k": k})
        ledger.chosen(parent, Choice(chosen="kmeans-k8", reason="best", ranking=(), refused={}))
    own = ledger.client.get_run(parent)
    found = ledger.client.search_runs([ledger.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    outcomes = {run.data.params["cluster.k"]: run.data.tags["fenqun.outcome"] for run in found}
    assert outcomes == {"5": "not chosen", "8": "chosen", "9": "refused"}
    assert own.data.tags["fenqun.chosen"] == "kmeans-k8"
    assert {run.info.run_name for run in found} == {f"kmeans-k{k} of {own.info.run_name}" for k in (5, 8, 9)}


def test_two_runs_of_one_second_have_two_names(ledger: Ledger):
    names = set()
    for _ in range(2):
        with ledger.recorded("retrain 2026-11-27 17:00:00", {}, {}) as run_id:
            names.add(ledger.client.get_run(run_id).info.run_name)
    assert len(names) == 2
    assert all(name.startswith("retrain 2026-11-27 17:00:00 ") for name in names)


def test_a_curve_that_is_logged_again_is_drawn_once(ledger: Ledger):
    run_id, at = ledger.start("retrain", {}, {}), datetime(2026, 11, 27, tzinfo=UTC)
    for _ in range(2):
        ledger.curves(run_id, {"by_k/kmeans/wcss": {5: 3.0, 8: 2.0}}, at)
    ledger.curves(run_id, {"by_k/kmeans/wcss": {8: 2.0, 9: 1.5}}, at)
    history = ledger.client.get_metric_history(run_id, "by_k/kmeans/wcss")
    assert [(point.step, point.value) for point in history] == [(5, 3.0), (8, 2.0), (9, 1.5)]


def test_an_experiment_is_described_and_what_a_person_wrote_stays(tmp_path: Path):
    def tags() -> dict[str, str]:
        books = Ledger(LedgerConfig(), str(tmp_path), "shop")
        return dict(books.client.get_experiment(books.experiment_id).tags)

    first = Ledger(LedgerConfig(), str(tmp_path), "shop")
    made = first.client.create_experiment("shop", (tmp_path / "mlflow" / "artifacts" / "shop").as_uri())  # as before
    described = tags()
    assert "Runs of the segmentation **shop**" in described[notes.NOTE]
    columns = json.loads(json.loads(described[notes.VIEW_TAG])["state"])["selectedColumns"]
    assert {"params.`cluster.k`", "metrics.`heldout_lift`", "tags.`fenqun.verdict`"} <= set(columns)
    first.client.set_experiment_tag(made, notes.NOTE, "ours")
    first.client.set_experiment_tag(made, notes.VIEW_TAG, "{}")
    assert tags() == {**described, notes.NOTE: "ours", notes.VIEW_TAG: "{}"}
    assert Ledger(LedgerConfig(), str(tmp_path), "new").experiment_id != made
    assert "**new**" in first.client.get_experiment_by_name("new").tags[notes.NOTE]


@pytest.mark.parametrize("person", [None, "Segmentation model", "what Ana wrote", ""])
def test_a_model_is_described_and_what_a_person_wrote_stays(tmp_path: Path, person: str | None):
    """None: there is no model yet; "Segmentation model" is what earlier versions wrote to one of this name."""
    (tmp_path / "facts.json").write_text("{}")
    books = Ledger(LedgerConfig(), str(tmp_path / "home"), "model")
    if person is not None:
        books.client.create_registered_model("model", description=person)
    run_id, model = books.start("retrain", {}, {}), {"bundle": tmp_path, "catalogue": tmp_path}
    assert books.register(run_id, model, "a" * 64, "segments", EXAMPLE) == "1"
    described = books.client.get_registered_model("model").description
    assert described == (person if person in ("what Ana wrote", "") else notes.of_model("model"))
    assert "fenqun rollback --segmentation model" in notes.of_model("model")


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


def test_a_server_that_is_no_longer_named_is_asked_for(tmp_path):
    """Its runs are not in the state folder's own database, which nobody has lost."""
    pointer = tmp_path / "segmentations" / "shop" / "live.json"
    pointer.parent.mkdir(parents=True)
    pointer.write_text("{}")
    with pytest.raises(DataError, match=r"give its address back \(ledger\.tracking_uri .*; else, run `fenqun doctor"):
        _ = Ledger(LedgerConfig(), str(tmp_path), "shop").client


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


def test_two_that_register_the_same_at_once_get_one_version(ledger: Ledger, tmp_path: Path, monkeypatch):
    """As two retrains of one segmentation on the same data, each with a run and a client of its own."""
    from tasks.stores import ledger as module

    (tmp_path / "facts.json").write_text("{}")
    both, save = Barrier(2), module.save_model
    books = [Ledger(ledger.config, ledger.home, "twice") for _ in range(2)]
    runs = [one.start("retrain", {}, {}) for one in books]

    def slow(*args: object) -> None:  # long enough for the other one to look whether there is a version already
        sleep(1)
        save(*args)

    def register(number: int) -> str:
        both.wait()
        model = {"bundle": tmp_path, "catalogue": tmp_path}
        return books[number].register(runs[number], model, "a" * 64, "segments", EXAMPLE)

    monkeypatch.setattr(module, "save_model", slow)
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(register, range(2))) == {"1"}
    assert len(ledger.client.search_model_versions("name = 'twice'")) == 1


def test_two_that_tag_a_version_at_once_both_do(ledger: Ledger, tmp_path: Path):
    """MLflow looks for a tag and then adds it: of two that found none, one broke a UNIQUE constraint."""
    (tmp_path / "facts.json").write_text("{}")
    books, both = [Ledger(ledger.config, ledger.home, "tagged") for _ in range(2)], Barrier(2)
    model = {"bundle": tmp_path, "catalogue": tmp_path}
    version = books[0].register(books[0].start("retrain", {}, {}), model, "a" * 64, "segments", EXAMPLE)

    def tag(book: Ledger) -> str | None:
        for number in range(20):
            both.wait(20)
            book.version_tags(version, {f"gate.{number}": "passed"})
        return book.mirror(version, None)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(tag, books)) == [None, None]
    assert len([name for name in books[0].version(version).tags if name.startswith("gate.")]) == 20


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


def test_aliases_that_do_not_follow_are_told_and_mended_by_the_next_run(
    ledger: Ledger, tmp_path: Path, monkeypatch, caplog
):
    from mlflow.exceptions import MlflowException

    (tmp_path / "facts.json").write_text("{}")
    own = Ledger(ledger.config, ledger.home, "mended")
    run_id = own.start("retrain", {}, {})
    for sha in ("a" * 64, "b" * 64):
        own.register(run_id, {"bundle": tmp_path, "catalogue": tmp_path}, sha, "segments", EXAMPLE)

    def lost(*args: object) -> None:
        raise MlflowException("the registry is away")

    told = logging.getLogger("prefect.task_runs.fenqun")
    with monkeypatch.context() as patch:
        patch.setattr(told, "handlers", [caplog.handler])
        patch.setattr(own.client, "set_registered_model_alias", lost)
        own.mirror("2", "1")
    assert "aliases of mended do not follow (champion 2)" in caplog.text
    assert "the registry is away" in caplog.text
    own.mirror("2", "1")
    assert {n: str(v) for n, v in own.client.get_registered_model("mended").aliases.items()} == {
        "champion": "2", "previous": "1",
    }  # fmt: skip
    own.mirror("2", None)
    assert set(own.client.get_registered_model("mended").aliases) == {"champion"}


def test_a_deleted_experiment_is_restored_with_its_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    before = Ledger(LedgerConfig(), str(tmp_path), "shop")
    run_id = before.start("first", {}, {})
    before.client.delete_experiment(before.experiment_id)
    again = Ledger(LedgerConfig(), str(tmp_path), "shop")
    assert again.client.get_run(again.start("second", {}, {})).info.experiment_id == before.experiment_id
    assert again.client.get_run(run_id).info.lifecycle_stage == "active"
    assert "was deleted in MLflow; it is restored" in caplog.text
