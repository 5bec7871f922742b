"""Brings a registered version back into the state folder: by our own code, checked, and without running any of it."""

import shutil
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from schemas.artifacts import ArtifactRef, RunContext
from schemas.errors import DataError
from schemas.reports import SegmentProfile
from tasks.segments import bundle as bundles
from tasks.segments._format import FILES as BUNDLE_FILES
from tasks.serving.catalogue import FILES as CATALOGUE_FILES
from tasks.serving.keeping import BUNDLE, CATALOGUE, keep_as
from tasks.stores.artifacts import fingerprint
from tasks.stores.ledger import BUNDLE_TAG, CATALOGUE_TAG, PROFILES, Ledger
from tasks.stores.shell import check_shell
from tasks.stores.sums import folder_sha256

PARTS = {BUNDLE: BUNDLE_FILES, CATALOGUE: CATALOGUE_FILES}


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
    with ledger.model_folder(version) as folder:
        check_shell(folder, PARTS)
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

        digest = fingerprint("fetched", tags[BUNDLE_TAG], tags[CATALOGUE_TAG])
        return keep_as(bundle, digest, copy, run), bundles.content_sha256(bundle)


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
