"""The ledger of runs and models: our only home of MLflow (with serving/pyfunc.py).

Runs are named by id and never "active", so that mapped tasks in many threads can log side by side.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from schemas.config import LedgerConfig
from schemas.errors import DataError, FenqunError, UsageError
from schemas.reports import EvaluationReport
from schemas.tables import AS_OF, ASSIGNMENTS, USER_ID
from tasks.stores._lock import held
from tasks.stores.flat import flat_metrics, flatten, legal
from tasks.stores.shell import CODE
from tasks.stores.sums import folder_sha256

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

BUNDLE_TAG, CATALOGUE_TAG, BORN_TAG = "fenqun.bundle_sha256", "fenqun.catalogue_sha256", "fenqun.born"
CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
CONFIG, PROFILES = "config.yaml", "profiles.json"
"""Texts of a run: the config it ran with, and the profiles of the segments of the model that it registered."""


def tracking_uri(config: LedgerConfig, home: str) -> str:
    """The configured MLflow server, or SQLite under the state folder."""
    return config.tracking_uri or f"sqlite:///{Path(home) / 'mlflow' / 'mlflow.db'}"


class Ledger:
    """One experiment in MLflow: a parent run per retrain, a nested run per candidate, a registered model.

    Args:
        config: Where MLflow is.
        home: The state folder, for the SQLite ledger and its artifacts.
        segmentation: Names the experiment and the registered model.
    """

    def __init__(self, config: LedgerConfig, home: str, segmentation: str) -> None:
        self.config, self.home, self.segmentation = config, home, segmentation
        self.uri = tracking_uri(config, home)
        self._lock = Path(home).resolve() / "mlflow" / ".lock"

    @cached_property
    def client(self) -> "MlflowClient":
        """The MLflow client; telemetry off, and few retries so that an unreachable server is told at once."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        from mlflow import MlflowClient

        for noisy in ("mlflow.store.db.utils", "alembic", "mlflow.tracking.client"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        if self.config.tracking_uri:
            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        with held(self._lock):  # two that make the tables at once leave them half made for good
            client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
            return client

    @cached_property
    def experiment_id(self) -> str:
        """Id of the segmentation's experiment, made at first use.

        Raises:
            FenqunError: MLflow cannot be reached.
        """
        from mlflow.exceptions import MlflowException

        local = None if self.config.tracking_uri else (self._lock.parent / "artifacts" / self.segmentation).as_uri()
        try:
            client = self.client
            with held(self._lock):
                found = client.get_experiment_by_name(self.segmentation)
                return found.experiment_id if found else client.create_experiment(self.segmentation, local)
        except MlflowException as error:
            told = f"MLflow at {self.uri} cannot be used ({str(error).splitlines()[0][:200]}); start it or mend "
            raise FenqunError(told + "ledger.tracking_uri. Nothing was published") from error

    def start(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str], parent: str | None = None) -> str:
        """Opens a run (nested where `parent` is given) and returns its id."""
        from mlflow.entities import Param

        nested = {"mlflow.parentRunId": parent} if parent else {}
        run = self.client.create_run(self.experiment_id, run_name=name, tags={**tags, **nested})
        flat = [Param(legal(key), str(value)[:6000]) for key, value in flatten(params).items()]
        for start in range(0, len(flat), 90):
            self.client.log_batch(run.info.run_id, params=flat[start : start + 90])
        return run.info.run_id

    @contextmanager
    def recorded(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[str]:
        """A run that is closed as finished, or as failed where the block raises."""
        run_id = self.start(name, params, tags)
        try:
            yield run_id
        except BaseException:
            self.finish(run_id, "FAILED")
            raise
        self.finish(run_id)

    def finish(self, run_id: str, status: str = "FINISHED") -> None:
        """Closes a run: FINISHED or FAILED."""
        self.client.set_terminated(run_id, status)

    def metrics(self, run_id: str, values: Mapping[str, float]) -> None:
        """Logs metrics under stable names."""
        from mlflow.entities import Metric as Logged

        now = int(time.time() * 1000)
        logged = [Logged(name, float(value), now, 0) for name, value in values.items()]
        for start in range(0, len(logged), 900):
            self.client.log_batch(run_id, metrics=logged[start : start + 900])

    def tags(self, run_id: str, values: Mapping[str, str]) -> None:
        """Sets tags of a run."""
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, tags=[RunTag(key, value[:5000]) for key, value in values.items()])

    def candidate(self, parent: str, report: EvaluationReport) -> str:
        """Logs one candidate as a nested run with the same metric names as its siblings."""
        tags = {"fenqun.candidate": report.candidate, "fenqun.warm": str(report.warm).lower()}
        told = {"fenqun.refused": report.refused, "fenqun.warnings": report.warnings}
        tags |= {name: "; ".join(lines)[:5000] for name, lines in told.items() if lines}
        run_id = self.start(report.candidate, {"cluster": report.params}, tags, parent)
        self.metrics(run_id, flat_metrics(report.metrics))
        self.finish(run_id)
        return run_id

    def datasets(self, run_id: str, tables: Mapping[str, Any]) -> None:
        """Logs input tables as MLflow datasets: name, digest, rows."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(
                    name=name, digest=ref.fingerprint[:16], source_type="local", source=f'{{"uri": "{ref.path}"}}',
                    profile=f'{{"num_rows": {ref.rows}}}',
                ),
                [InputTag("mlflow.data.context", "training")],
            )
            for name, ref in tables.items()
        ]  # fmt: skip
        self.client.log_inputs(run_id, inputs)

    def files(self, run_id: str, folder: Path | str, under: str) -> None:
        """Logs a folder, or one file, as artifacts."""
        source = Path(folder)
        log = self.client.log_artifacts if source.is_dir() else self.client.log_artifact
        log(run_id, str(source), under)

    def text(self, run_id: str, name: str, content: str) -> None:
        """Logs a text file."""
        self.client.log_text(run_id, content, name)

    def figure(self, run_id: str, caption: str, figure: Any) -> None:
        """Logs a figure as a PNG named after its caption."""
        name = "".join(letter if letter.isalnum() else "-" for letter in caption.lower())
        self.client.log_figure(run_id, figure, f"figures/{name}.png")

    def registered(self, bundle_sha256: str) -> "ModelVersion | None":
        """The model version whose bundle has this content, if there is one."""
        versions = self.client.search_model_versions(f"name = '{self.segmentation}'")
        return next((v for v in versions if v.tags.get(BUNDLE_TAG) == bundle_sha256), None)

    def register(
        self, run_id: str, model: Mapping[str, Path], sha256: str, description: str, example: Mapping[str, Any],
        born: Sequence[str] = (),
    ) -> str:  # fmt: skip
        """Registers a bundle as a new model version; identical content returns the version that it has already.

        Args:
            run_id: The run that made it.
            model: Folders of the model by name: the bundle and its catalogue.
            sha256: The bundle's content.
            description: Names and sizes of its segments.
            example: A request for one user, kept as the model's input example.
            born: Segment ids that this version is the first to give.
        """
        from mlflow.exceptions import MlflowException

        if (known := self.registered(sha256)) is not None:
            return str(known.version)
        with suppress(MlflowException):  # it exists already
            self.client.create_registered_model(self.segmentation, description=f"Segmentation {self.segmentation}")
        with TemporaryDirectory() as place:
            sums = {"sha256": sha256, "catalogue_sha256": folder_sha256(model["catalogue"])}
            _save_model(Path(place) / "model", model, {"segmentation": self.segmentation, **sums}, example)
            self.client.log_artifacts(run_id, f"{place}/model", "model")
        source = f"{self.client.get_run(run_id).info.artifact_uri}/model"
        tags = {BUNDLE_TAG: sha256, CATALOGUE_TAG: sums["catalogue_sha256"], BORN_TAG: " ".join(born)}
        version = self.client.create_model_version(self.segmentation, source, run_id, tags, description=description)
        return str(version.version)

    def version(self, number: str) -> "ModelVersion":
        """A registered version.

        Raises:
            UsageError: there is none of this number.
        """
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_model_version(self.segmentation, number)
        except MlflowException as error:
            raise UsageError(f"{self.segmentation} has no version {number} in MLflow at {self.uri}") from error

    @contextmanager
    def model_folder(self, number: str) -> Iterator[Path]:
        """The files of a version's model, as they lie in the run that registered it; MLflow's loader is not asked.

        Raises:
            DataError: the version's source is not where `register` puts a model, or its files cannot be had.
        """
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException
        from mlflow.utils.file_utils import local_file_uri_to_path

        version = self.version(number)
        try:
            root = self.client.get_run(str(version.run_id)).info.artifact_uri
            if version.source != f"{root}/model":
                raise DataError(f"version {number}: its source is not the model of its run; register it with fenqun")
            if root.startswith(("file:", "/")):
                yield Path(local_file_uri_to_path(root)) / "model"
                return
            with TemporaryDirectory() as place:
                yield Path(download_artifacts(run_id=version.run_id, artifact_path="model", dst_path=place,
                                              tracking_uri=self.uri))  # fmt: skip
        except (MlflowException, OSError) as error:
            raise DataError(f"version {number}: its files cannot be had: {str(error).splitlines()[0][:200]}") from error

    def read_text(self, run_id: str, name: str) -> str:
        """What `text` kept.

        Raises:
            DataError: there is no such text.
        """
        from mlflow.exceptions import MlflowException

        with TemporaryDirectory() as place:
            try:
                return Path(self.client.download_artifacts(run_id, name, place)).read_text(encoding="utf-8")
            except (MlflowException, OSError, ValueError) as error:
                raise DataError(f"run {run_id}: {name} cannot be read: {str(error).splitlines()[0][:200]}") from error

    def version_tags(self, version: str, values: Mapping[str, str]) -> None:
        """Sets tags of a model version, such as the outcome of each gate."""
        for key, value in values.items():
            self.client.set_model_version_tag(self.segmentation, version, key, value[:5000])

    def alias(self, name: str, version: str | None) -> None:
        """Points an alias at a version, or removes it."""
        if version is not None:
            self.client.set_registered_model_alias(self.segmentation, name, version)
        elif name in self.client.get_registered_model(self.segmentation).aliases:
            self.client.delete_registered_model_alias(self.segmentation, name)

    def mirror(self, champion: str | None, previous: str | None) -> None:
        """Makes the aliases say what the pointer says, where they do not; the pointer is the truth."""
        from mlflow.exceptions import MlflowException

        wanted = {name: v for name, v in ((CHAMPION, champion), (PREVIOUS, previous)) if v is not None}
        with suppress(MlflowException):  # a lost registry must stop neither a promotion nor the next run
            found = {name: str(v) for name, v in self.client.get_registered_model(self.segmentation).aliases.items()}
            for name, version in wanted.items() - found.items():
                self.alias(name, version)


def _save_model(place: Path, model: Mapping[str, Path], facts: Mapping[str, str], example: Mapping[str, Any]) -> None:
    """Saves an MLflow model round a bundle: models from code, with signature and input example, without pickle."""
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema

    lists = [ColSpec(AnyType(), name, required=False) for name in ("events", "texts", "attributes")]
    types = {"string": DataType.string, "float64": DataType.double, "timestamp": DataType.datetime}
    answer: list[Any] = [
        ColSpec(types.get(column.dtype) or Array(DataType.string), column.name, required=not column.nullable)
        for column in ASSIGNMENTS.columns
    ]
    asked = Schema([ColSpec(DataType.string, USER_ID), *lists])
    mlflow.pyfunc.save_model(
        place, python_model=str(CODE), artifacts={name: str(path) for name, path in model.items()},
        model_config=dict(facts), pip_requirements=["fenqun"], input_example=pd.DataFrame([example]),
        signature=ModelSignature(asked, Schema(answer), ParamSchema([ParamSpec(AS_OF, DataType.string, "")])),
    )  # fmt: skip
