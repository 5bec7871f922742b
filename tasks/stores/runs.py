"""Runs in MLflow: what they were asked for, what they measured, and what became of them.

Runs are named by id and never "active", so that mapped tasks in many threads can log side by side.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from schemas.config import LedgerConfig
from schemas.errors import DataError, FenqunError
from schemas.reports import Choice, EvaluationReport
from schemas.secrets import redact, resolve
from tasks.disk import database
from tasks.disk.going import going, gone
from tasks.disk.key import shown_to_mlflow
from tasks.disk.lock import held
from tasks.stores import notes
from tasks.stores.flat import flat_metrics, flatten, legal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Metric

_LOG = logging.getLogger("prefect.task_runs.fenqun")  # a child of Prefect's: what is said here stands in the run's log
TOKEN_TAG, TEXT_TAG = "fenqun.token", "fenqun.sha256"
PARENT_TAG, CANDIDATE_TAG, OUTCOME_TAG = "mlflow.parentRunId", "fenqun.candidate", "fenqun.outcome"


def tracking_uri(config: LedgerConfig, home: str) -> str:
    """The configured MLflow server, with its secrets, or SQLite under the state folder."""
    return resolve(config.tracking_uri) if config.tracking_uri else f"sqlite:///{database.place(home)}"


class Runs:
    """One experiment in MLflow: a parent run per retrain, a nested run per candidate.

    Args:
        config: Where MLflow is.
        home: The state folder, for the SQLite ledger and its artifacts.
        segmentation: Names the experiment and the registered model.
    """

    def __init__(self, config: LedgerConfig, home: str, segmentation: str) -> None:
        self.config, self.home, self.segmentation = config, home, segmentation
        self.uri = tracking_uri(config, home)
        self._lock = Path(home).resolve() / "mlflow" / ".lock"
        self._going = self._lock.parent / "going" / segmentation

    @cached_property
    def client(self) -> "MlflowClient":
        """The MLflow client; telemetry off, and few retries so that an unreachable server is told at once."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        for name, value in shown_to_mlflow(self.home, self.config.tracking_uri).items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        for noisy in ("mlflow.store.db.utils", "alembic", "mlflow.tracking.client"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        if self.config.tracking_uri:
            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        with held(self._lock):  # two that make the tables at once leave them half made for good
            database.check(self.home)
            client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
            database.relocate(self.home)
            return client

    def _said(self, what: object) -> str:
        """The first line of an address or error, for a message: without secrets.

        Whoever raises it leaves the cause out (`from None`): Prefect keeps the traceback of a failure, causes included.
        """
        return redact(str(what).split("\n", 1)[0], self.config.tracking_uri or "")[:200]

    @cached_property
    def experiment_id(self) -> str:
        """Id of the segmentation's experiment, made at first use.

        Raises:
            FenqunError: MLflow cannot be reached.
        """
        from mlflow.exceptions import MlflowException

        try:
            client = self.client
            with held(self._lock):
                return self._experiment(client)
        except MlflowException as error:
            told = f"MLflow at {self._said(self.uri)} cannot be used ({self._said(error)}); start it or mend "
            raise FenqunError(told + "ledger.tracking_uri. Nothing was published") from None

    def _experiment(self, client: "MlflowClient") -> str:
        """Id of the experiment, found or made, with a description and a view; those that a person changed stay."""
        local = None if self.config.tracking_uri else (self._lock.parent / "artifacts" / self.segmentation).as_uri()
        said = {notes.NOTE: notes.of_experiment(self.segmentation), notes.VIEW_TAG: notes.view()}
        found: Experiment | None = client.get_experiment_by_name(self.segmentation)
        if found is None:
            return str(client.create_experiment(self.segmentation, local, said))
        if found.lifecycle_stage == "deleted":  # its name stays taken, and no run can be added to it
            client.restore_experiment(found.experiment_id)
            _LOG.warning("the experiment %s was deleted in MLflow; it is restored", self.segmentation)
        for key in said.keys() - found.tags.keys():
            client.set_experiment_tag(found.experiment_id, key, said[key])
        return str(found.experiment_id)

    def start(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str], parent: str | None = None) -> str:
        """Opens a run (nested where `parent` is given) and returns its id."""
        from mlflow.entities import Param

        nested = {PARENT_TAG: parent} if parent else {}
        run = self.client.create_run(self.experiment_id, run_name=name, tags={**tags, **nested})
        flat = [Param(legal(key), str(value)[:6000]) for key, value in flatten(params).items()]
        for start in range(0, len(flat), 90):
            self.client.log_batch(run.info.run_id, params=flat[start : start + 90])
        return run.info.run_id

    @contextmanager
    def recorded(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[str]:
        """A run that is closed as finished, or as failed where the block raises; no other has its whole name."""
        with going(self._going) as token:
            run_id = self.start(f"{name} {token[:6]}", params, {**tags, TOKEN_TAG: token})
            try:
                yield run_id
            except BaseException:
                self.finish(run_id, "FAILED")
                raise
            self.finish(run_id)

    def close_killed(self) -> None:
        """Closes the runs, with those of their candidates, whose process was killed: they would be RUNNING for ever."""
        for file in gone(self._going):
            for run in self._running(f"tags.`{TOKEN_TAG}` = '{file.name}'"):
                for inner in self._running(f"tags.`{PARENT_TAG}` = '{run}'"):
                    self.finish(inner, "KILLED")
                self.finish(run, "KILLED")
            file.unlink(missing_ok=True)

    def _running(self, which: str) -> list[str]:
        found = self.client.search_runs([self.experiment_id], f"{which} and attributes.status = 'RUNNING'")
        return [run.info.run_id for run in found]

    def finish(self, run_id: str, status: str = "FINISHED") -> None:
        """Closes a run: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(run_id, status)

    def metrics(self, run_id: str, values: Mapping[str, float]) -> None:
        """Logs metrics under stable names."""
        from mlflow.entities import Metric as Logged

        now = int(time.time() * 1000)
        self._log(run_id, [Logged(name, float(value), now, 0) for name, value in values.items()])

    def curves(self, run_id: str, curves: Mapping[str, Mapping[int, float]], at: datetime) -> None:
        """Logs curves, which the run's page draws: name -> step -> value.

        All points have one time: MLflow knows a point that comes again by its time, and draws it once.
        """
        from mlflow.entities import Metric as Logged

        moment = int(at.timestamp() * 1000)
        points = [Logged(name, y, moment, step) for name, curve in curves.items() for step, y in curve.items()]
        self._log(run_id, points)

    def _log(self, run_id: str, points: "Sequence[Metric]") -> None:
        """Logs points, as many at once as MLflow takes."""
        for start in range(0, len(points), 900):
            self.client.log_batch(run_id, metrics=points[start : start + 900])

    def tags(self, run_id: str, values: Mapping[str, str]) -> None:
        """Sets tags of a run."""
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, tags=[RunTag(key, value[:5000]) for key, value in values.items()])

    def candidate(self, parent: str, report: EvaluationReport, params: Mapping[str, Any]) -> str:
        """Logs one candidate as a nested run with the same metric names as its siblings.

        Args:
            parent: The run of the retrain.
            report: What was measured.
            params: What tells the candidate from others; the whole config stands in the parent.
        """
        outcome = "refused" if report.refused else "not chosen"
        tags = {CANDIDATE_TAG: report.candidate, OUTCOME_TAG: outcome, "fenqun.warm": str(report.warm).lower()}
        told = {"fenqun.refused": report.refused, "fenqun.warnings": report.warnings}
        tags |= {name: "; ".join(lines)[:5000] for name, lines in told.items() if lines}
        name = f"{report.candidate} of {self.client.get_run(parent).info.run_name}"
        run_id = self.start(name, {"cluster": params}, tags, parent)
        self.metrics(run_id, flat_metrics(report.metrics))
        self.finish(run_id)
        return run_id

    def chosen(self, parent: str, choice: Choice) -> None:
        """Writes to the retrain's run which candidate was chosen and why, and to the candidate's that it was."""
        self.tags(parent, {"fenqun.chosen": choice.chosen, "fenqun.reason": choice.reason})
        which = f"tags.`{PARENT_TAG}` = '{parent}' and tags.`{CANDIDATE_TAG}` = '{choice.chosen}'"
        for run in self.client.search_runs([self.experiment_id], which):
            self.tags(run.info.run_id, {OUTCOME_TAG: "chosen"})

    def datasets(self, run_id: str, tables: Mapping[str, Any]) -> None:
        """Logs input tables as MLflow datasets: name, digest, rows."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(
                    name=name,
                    digest=ref.fingerprint[:16],
                    source_type="local",
                    source=f'{{"uri": "{ref.path}"}}',
                    profile=f'{{"num_rows": {ref.rows}}}',
                ),
                [InputTag("mlflow.data.context", "training")],
            )
            for name, ref in tables.items()
        ]
        self.client.log_inputs(run_id, inputs)

    def files(self, run_id: str, folder: Path | str, under: str) -> None:
        """Logs a folder, or one file, as artifacts."""
        source = Path(folder)
        log = self.client.log_artifacts if source.is_dir() else self.client.log_artifact
        log(run_id, str(source), under)

    def text(self, run_id: str, name: str, content: str) -> None:
        """Logs a text file, and its sum."""
        self.client.log_text(run_id, content, name)
        self.tags(run_id, {f"{TEXT_TAG}.{name}": hashlib.sha256(content.encode()).hexdigest()})

    def figure(self, run_id: str, caption: str, figure: Any) -> None:
        """Logs a figure as a PNG named after its caption."""
        name = "".join(letter if letter.isalnum() else "-" for letter in caption.lower())
        self.client.log_figure(run_id, figure, f"figures/{name}.png")

    def read_text(self, run_id: str, name: str) -> str:
        """What `text` kept.

        Raises:
            DataError: there is no such text, or it is another; earlier versions kept no sums.
        """
        from mlflow.exceptions import MlflowException

        with TemporaryDirectory() as place:
            try:
                content = Path(self.client.download_artifacts(run_id, name, place)).read_bytes()
                recorded = self.client.get_run(run_id).data.tags.get(f"{TEXT_TAG}.{name}")
                if recorded not in (None, hashlib.sha256(content).hexdigest()):
                    raise ValueError("it is not what was written; restore it from a backup")
                return content.decode()
            except (MlflowException, OSError, ValueError) as error:
                raise DataError(f"run {run_id}: {name} cannot be read: {self._said(error)}") from None
