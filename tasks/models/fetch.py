"""Brings a registered version back into the state folder: by our own code, checked, and without running any of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from schemas.artifacts import ArtifactRef, RunContext
from schemas.errors import DataError
from schemas.reports import SegmentProfile
from tasks.disk.artifacts import fingerprint
from tasks.disk.files import sum_of
from tasks.disk.sums import folder_sha256
from tasks.models.catalogue import FILES as CATALOGUE_FILES
from tasks.models.keep import BUNDLE, CATALOGUE, keep_as
from tasks.segments import bundle as bundles
from tasks.segments.bundle import FILES as BUNDLE_FILES
from tasks.stores.ledger import BUNDLE_TAG, CATALOGUE_TAG, MLMODEL_TAG, PROFILES, Ledger
from tasks.stores.shell import MLMODEL, check_shell

PARTS = {BUNDLE: BUNDLE_FILES, CATALOGUE: CATALOGUE_FILES}


@contextmanager
def model_folder(version: str, ledger: Ledger) -> Iterator[Path]:
    """The files of a version's model, once its shell is what was registered: what is in it can be loaded.

    Raises:
        UsageError: there is no such version.
        DataError: its folder is not as it was then; earlier versions recorded no sum of its MLmodel.
    """
    recorded = ledger.version(version).tags.get(MLMODEL_TAG)
    with ledger.model_folder(version) as folder:
        check_shell(folder, PARTS)
        if recorded not in (None, sum_of(folder / MLMODEL)):
            raise DataError(f"{folder / MLMODEL}: was changed after the version was registered; not loaded")
        yield folder


def fetch(version: str, run: RunContext, ledger: Ledger) -> tuple[ArtifactRef, str]:
    """A version's bundle and catalogue as an artifact, and the bundle's sha256.

    MLflow's loader is never asked: it would run what a model folder names. The files are held against the sums that
    were recorded when the version was registered.

    Raises:
        UsageError: there is no such version.
        DataError: it was not registered by fenqun, or its folder is not as it was then.
    """
    tags = ledger.version(version).tags
    if BUNDLE_TAG not in tags or CATALOGUE_TAG not in tags:
        raise DataError(f"{ledger.segmentation} version {version}: was not registered by fenqun; nothing is loaded")
    with model_folder(version, ledger) as folder:
        bundle = bundles.load(folder / "artifacts" / BUNDLE, tags[BUNDLE_TAG])
        beside = folder / "artifacts" / CATALOGUE
        if folder_sha256(beside) != tags[CATALOGUE_TAG]:
            raise DataError(f"{beside}: was changed after the version was registered; not loaded")
        if bundle.manifest.segmentation != ledger.segmentation:
            raise DataError(f"version {version}: is a model of {bundle.manifest.segmentation}; not loaded")

        def copy(place: Path) -> None:
            for name in CATALOGUE_FILES:
                if (beside / name).exists():
                    shutil.copyfile(beside / name, place / name)

        sha256 = bundles.content_sha256(bundle)  # as it is saved today: an earlier version wrote fewer facts
        return keep_as(bundle, fingerprint("fetched", sha256, tags[CATALOGUE_TAG]), copy, run), sha256


def recorded_profiles(version: str, ledger: Ledger) -> tuple[SegmentProfile, ...]:
    """The profiles that were recorded when a version was registered.

    Raises:
        DataError: there are none, or they are damaged.
    """
    raw = ledger.read_text(str(ledger.version(version).run_id), PROFILES)
    try:
        return tuple(TypeAdapter(list[SegmentProfile]).validate_json(raw))
    except ValidationError as error:
        raise DataError(f"version {version}: {PROFILES} of its run is damaged: {error.errors()[0]['msg']}") from error
