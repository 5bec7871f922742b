"""Keeps a bundle and its catalogue as one artifact of the state folder, whole and checked."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from schemas.artifacts import ArtifactRef, RunContext
from schemas.tables import ITEMS, USERS
from tasks.segments import bundle as bundles
from tasks.segments.bundle import Bundle
from tasks.serving import catalogue
from tasks.serving.compose import Lookup
from tasks.stores.artifacts import fingerprint, produce
from tasks.stores.sums import folder_sha256

BUNDLE, CATALOGUE = "bundle", "catalogue"


def keep(
    bundle: Bundle, tables: Mapping[str, ArtifactRef], lookup: Lookup | None, run: RunContext
) -> tuple[ArtifactRef, str]:
    """Saves a bundle and the catalogue that serving needs; returns the artifact and the bundle's sha256.

    Args:
        bundle: The model.
        tables: Input tables that it was fitted on.
        lookup: Vectors of texts; None: the bundle reads none.
        run: Gives the state folder.
    """
    sha256 = bundles.content_sha256(bundle)
    digest = fingerprint("bundle", sha256, tables.get(ITEMS.name), tables.get(USERS.name))
    return keep_as(bundle, digest, lambda place: catalogue.write(place, tables, bundle, lookup), run), sha256


def keep_as(bundle: Bundle, digest: str, fill: Callable[[Path], None], run: RunContext) -> ArtifactRef:
    """The artifact of a bundle under a fingerprint; `fill` writes its catalogue."""

    def write(place: Path) -> dict[str, Any]:
        sha256 = bundles.save(bundle, place / BUNDLE)
        (place / CATALOGUE).mkdir(exist_ok=True)
        fill(place / CATALOGUE)
        return {"meta": {"sha256": sha256, "catalogue_sha256": folder_sha256(place / CATALOGUE)}}

    return produce(run.home, "bundle", digest, write)


def model_files(kept: ArtifactRef) -> dict[str, Path]:
    """What a registered model consists of, by name."""
    return {name: Path(kept.path) / name for name in (BUNDLE, CATALOGUE)}
