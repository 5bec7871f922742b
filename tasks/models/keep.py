"""Keeps a bundle and its catalogue as one artifact of the state folder, whole and checked."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import IngestConfig
from schemas.errors import DataError
from schemas.runs import Built
from schemas.tables import ITEMS, USERS
from tasks.disk.artifacts import at, fingerprint, produce
from tasks.disk.sums import folder_sha256
from tasks.models import catalogue
from tasks.segments import bundle as bundles
from tasks.segments.bundle import Bundle
from tasks.vectors.encoder import Lookup

BUNDLE, CATALOGUE = "bundle", "catalogue"


def keep(
    bundle: Bundle, tables: Mapping[str, ArtifactRef], lookup: Lookup | None, run: RunContext, ingest: IngestConfig
) -> tuple[ArtifactRef, str]:
    """Saves a bundle and the catalogue that serving needs; returns the artifact and the bundle's sha256.

    Args:
        bundle: The model.
        tables: Input tables that it was fitted on.
        lookup: Vectors of texts; None: the bundle reads none.
        run: Gives the state folder.
        ingest: By which rules the tables were read.
    """
    sha256 = bundles.content_sha256(bundle)
    digest = fingerprint("bundle", sha256, tables.get(ITEMS.name), tables.get(USERS.name), ingest)

    def fill(place: Path) -> None:
        catalogue.write(place, tables, bundle, lookup, ingest)

    return keep_as(bundle, digest, fill, run), sha256


def keep_as(bundle: Bundle, digest: str, fill: Callable[[Path], None], run: RunContext) -> ArtifactRef:
    """The artifact of a bundle under a fingerprint; `fill` writes its catalogue."""

    def write(place: Path) -> dict[str, Any]:
        sha256 = bundles.save(bundle, place / BUNDLE)
        (place / CATALOGUE).mkdir(exist_ok=True)
        fill(place / CATALOGUE)
        return {"meta": {"sha256": sha256, "catalogue_sha256": folder_sha256(place / CATALOGUE)}}

    return produce(run.home, "bundle", digest, write)


def check(home: str, place: str) -> None:
    """Holds a kept bundle and its catalogue against what was written.

    Args:
        home: The state folder.
        place: The artifact's folder, relative to it.

    Raises:
        DataError: a file is missing or damaged.
    """
    if at(home, place) is None:
        repair = "run `fenqun doctor --repair`, which fetches it from MLflow"
        raise DataError(f"{Path(home) / place}: the model or its catalogue is damaged; {repair}")


def model_files(kept: ArtifactRef) -> dict[str, Path]:
    """What a registered model consists of, by name."""
    return {name: Path(kept.path) / name for name in (BUNDLE, CATALOGUE)}


def load(built: Built) -> Bundle:
    """The bundle of a built model."""
    return bundles.load(Path(built.bundle.path) / BUNDLE, built.sha256)


def provisional(built: Built) -> tuple[str, ...]:
    """What its segments are called before they are matched with those that readers know, by label."""
    return load(built).manifest.ids
