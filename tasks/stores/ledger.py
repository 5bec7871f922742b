"""The ledger of runs and models: with `runs` and `mlmodel` our only home of MLflow (with serving/pyfunc.py)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from schemas.errors import DataError, UsageError
from tasks.disk import database
from tasks.disk.files import flush_below, sum_of
from tasks.disk.lock import held
from tasks.disk.sums import folder_sha256
from tasks.stores import notes
from tasks.stores.mlmodel import save_model
from tasks.stores.runs import Runs
from tasks.stores.shell import MLMODEL

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_LOG = logging.getLogger("prefect.task_runs.fenqun")  # a child of Prefect's: what is said here stands in the run's log
BUNDLE_TAG, CATALOGUE_TAG, BORN_TAG = "fenqun.bundle_sha256", "fenqun.catalogue_sha256", "fenqun.born"
MLMODEL_TAG = "fenqun.mlmodel_sha256"
CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
CONFIG, PROFILES = "config.yaml", "profiles.json"
"""Texts of a run: the config it ran with, and the profiles of the segments of the model that it registered."""


class Ledger(Runs):
    """The runs of a segmentation, and its registered model."""

    def registered(self, bundle_sha256: str) -> "ModelVersion | None":
        """The model version whose bundle has this content, if there is one."""
        versions = self.client.search_model_versions(f"name = '{self.segmentation}'")
        return next((v for v in versions if v.tags.get(BUNDLE_TAG) == bundle_sha256), None)

    def register(
        self,
        run_id: str,
        model: Mapping[str, Path],
        sha256: str,
        description: str,
        example: Mapping[str, Any],
        born: Sequence[str] = (),
    ) -> str:
        """Registers a bundle as a new model version; identical content returns the version that it has already.

        Of two runs of one state folder that register the same at once, the second waits and finds what the first made.

        Args:
            run_id: The run that made it.
            model: Folders of the model by name: the bundle and its catalogue.
            sha256: The bundle's content.
            description: Names and sizes of its segments.
            example: A request for one user, kept as the model's input example.
            born: Segment ids that this version is the first to give.
        """
        from mlflow.exceptions import MlflowException

        with self._changing():
            if (known := self.registered(sha256)) is not None:
                return str(known.version)
            with suppress(MlflowException):  # where the model cannot be made the version cannot either
                self._described()
            with TemporaryDirectory() as place:
                sums = {"sha256": sha256, "catalogue_sha256": folder_sha256(model["catalogue"])}
                save_model(Path(place) / "model", model, {"segmentation": self.segmentation, **sums}, example)
                shell = sum_of(Path(place) / "model" / MLMODEL)
                self.client.log_artifacts(run_id, f"{place}/model", "model")
            root = str(self.client.get_run(run_id).info.artifact_uri)
            source = f"{root}/model"
            if (local := _local(root)) is not None:  # a version's files are on the disk before it is known
                flush_below(local)
            tags = {BUNDLE_TAG: sha256, CATALOGUE_TAG: sums["catalogue_sha256"], BORN_TAG: " ".join(born)}
            tags[MLMODEL_TAG] = shell
            made = self.client.create_model_version(self.segmentation, source, run_id, tags, description=description)
            return str(made.version)

    def _described(self) -> None:
        """Makes the registered model with its description, or describes one that has an earlier one of ours."""
        from mlflow.exceptions import MlflowException

        name, note = self.segmentation, notes.of_model(self.segmentation)
        try:
            known = self.client.get_registered_model(name)
        except MlflowException:
            self.client.create_registered_model(name, description=note)
            return
        if known.description == notes.earlier_of_model(name):
            self.client.update_registered_model(name, note)

    def _changing(self) -> AbstractContextManager[None]:
        """What two runs may change at once, one after the other: MLflow looks for a row first, and then both add it."""
        return held(self._lock.with_name(f".register-{self.segmentation}.lock"))

    def version(self, number: str) -> "ModelVersion":
        """A registered version.

        Raises:
            UsageError: there is none of this number.
        """
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_model_version(self.segmentation, number)
        except MlflowException:
            where = self._said(self.uri)
            raise UsageError(f"{self.segmentation} has no version {number} in MLflow at {where}") from None

    @contextmanager
    def model_folder(self, number: str) -> Iterator[Path]:
        """The files of a version's model, as they lie in the run that registered it; MLflow's loader is not asked.

        Raises:
            DataError: the version's source is not where `register` puts a model, or its files cannot be had.
        """
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        version = self.version(number)
        try:
            root = self.client.get_run(str(version.run_id)).info.artifact_uri
            if version.source != f"{root}/model":
                raise DataError(f"version {number}: its source is not the model of its run; register it with fenqun")
            if (local := _local(str(root))) is not None:
                yield local / "model"
                return
            with TemporaryDirectory() as place:
                yield Path(
                    download_artifacts(
                        run_id=version.run_id, artifact_path="model", dst_path=place, tracking_uri=self.uri
                    )
                )
        except (MlflowException, OSError) as error:
            raise DataError(f"version {number}: its files cannot be had: {self._said(error)}") from None

    def keep(self) -> None:
        """Keeps a copy of the database under the state folder, for the day that it is lost."""
        if not self.config.tracking_uri:
            database.keep(self.home)

    def version_tags(self, version: str, values: Mapping[str, str]) -> None:
        """Sets tags of a model version, such as the outcome of each gate."""
        with self._changing():
            for key, value in values.items():
                self.client.set_model_version_tag(self.segmentation, version, key, value[:5000])

    def alias(self, name: str, version: str | None) -> None:
        """Points an alias at a version, or removes it."""
        if version is not None:
            self.client.set_registered_model_alias(self.segmentation, name, version)
        elif name in self.client.get_registered_model(self.segmentation).aliases:
            self.client.delete_registered_model_alias(self.segmentation, name)

    def aliases(self) -> dict[str, str]:
        """Versions by alias; none where nothing was registered."""
        from mlflow.exceptions import MlflowException

        with suppress(MlflowException):
            return {name: str(v) for name, v in self.client.get_registered_model(self.segmentation).aliases.items()}
        return {}

    def agree(self, champion: str | None) -> None:
        """Refuses a pointer and a database of one state folder of which one knows more than the other.

        Raises:
            DataError: something was live and the pointer knows of nothing; or what is live was never registered.
        """
        if self.config.tracking_uri:  # a server that others write to as well
            return
        repair = "one of the two is older than the other: run `fenqun doctor --repair`, or restore a backup of both"
        if champion is None and CHAMPION in (known := self.aliases()):
            raise DataError(f"{self.segmentation}: nothing is live, but version {known[CHAMPION]} was; {repair}")
        if champion is not None:
            try:
                self.version(champion)
            except UsageError as error:
                raise DataError(f"{error}, but is live; {repair}") from error

    def mirror(self, champion: str | None, previous: str | None) -> str | None:
        """Makes the aliases say what the pointer says, where they do not; the pointer is the truth.

        Returns:
            Why they do not follow, which the run's log says too; None: they do.
        """
        from mlflow.exceptions import MlflowException

        if champion is None:  # nothing was ever live, and there may be no registered model
            return None
        try:
            with self._changing():
                known = self.client.get_registered_model(self.segmentation).aliases
                found = {name: str(version) for name, version in known.items()}
                for name, version in ((CHAMPION, champion), (PREVIOUS, previous)):
                    if found.get(name) != version:
                        self.alias(name, version)
        except MlflowException as error:  # a lost registry must stop neither a promotion nor the next run
            told = (
                f"MLflow's aliases of {self.segmentation} do not follow (champion {champion}); the next run mends them"
            )
            _LOG.warning("%s: %s", told, self._said(error))
            return self._said(error)
        return None


def _local(uri: str) -> Path | None:
    """Where artifacts lie on this machine; None: a server has them."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    return Path(local_file_uri_to_path(uri)) if uri.startswith(("file:", "/")) else None
