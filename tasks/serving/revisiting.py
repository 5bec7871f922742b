"""The champion on today's data: its vectors, its assignments, and the candidate that starts from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ExecutionConfig, IdentityConfig, RepresentConfig, TextsConfig
from schemas.runs import Candidate, Standing
from schemas.tables import SEGMENT_ID, USER_ID, Bucket
from tasks.segments import bundle as bundles
from tasks.segments.bundle import Bundle
from tasks.segments.identity import grow, warm_centroids
from tasks.serving.assigning import assign_all, champion, filled_lookup
from tasks.serving.compose import segmenter
from tasks.serving.fitting import matrix, vector_column
from tasks.serving.keeping import BUNDLE
from tasks.serving.plugins import plugin
from tasks.stores import pointer
from tasks.stores.artifacts import fingerprint
from tasks.stores.buckets import map_buckets, read_frames

if TYPE_CHECKING:
    import polars as pl


def revisit(
    segmentation: str, tables: Mapping[str, ArtifactRef], run: RunContext, execution: ExecutionConfig
) -> Standing | None:
    """Assigns today's users with the champion; numbers from another day are never compared.

    Args:
        segmentation: Whose champion.
        tables: Today's input tables.
        run: Gives as_of and the state folder.
        execution: Where the work runs.
    """
    found = champion(run.home, segmentation)
    if found is None:
        return None
    live, bundle = found
    standing = on_today(bundle, live.model_version, live.bundle, live.users, tables, run, execution)
    taken = pointer.read(run.home, segmentation).next_number  # also by a champion that was rolled back since
    return standing.model_copy(update={"next_number": max(standing.next_number, taken)})


def on_today(
    bundle: Bundle, version: str, folder: str, users: int, tables: Mapping[str, ArtifactRef], run: RunContext,
    execution: ExecutionConfig,
) -> Standing:  # fmt: skip
    """A model of another day on today's data: the users' vectors in its own space, and its assignments of them.

    Args:
        bundle: The model.
        version: Its model version.
        folder: Folder of its artifact, relative to the state folder.
        users: Users of the data that it was fitted on.
        tables: Today's input tables.
        run: Gives as_of and the state folder.
        execution: Where the work runs.
    """
    sha256, lookup = bundles.content_sha256(bundle), filled_lookup(bundle, tables, run, execution)
    ready = segmenter(bundle, lookup=lookup, device=execution.device)
    digest = fingerprint("champion vectors", sha256, dict(tables), run.as_of, run.code_version)

    def transform(bucket: Bucket) -> "pl.DataFrame":
        import polars as pl

        ids, X = ready.vectors(bucket, run.as_of)
        return pl.DataFrame({USER_ID: ids}, schema={USER_ID: pl.String}).with_columns(vector_column(X))

    vectors = map_buckets(tables, transform, execution, home=run.home, kind="user_vectors", digest=digest)
    assignments = assign_all(bundle, sha256, version, tables, run, execution, lookup)
    return Standing(
        version=version, bundle=folder, users=users, algorithm=bundle.manifest.clusterer.config,
        ids=bundle.manifest.ids, names=tuple(segment.name for segment in bundle.manifest.segments),
        next_number=bundle.manifest.next_number, vectors=vectors, assignments=assignments,
    )  # fmt: skip


def champion_labels(standing: Standing) -> "tuple[pl.Series, np.ndarray]":
    """Today's users and the champion's labels of them, −1 where unassigned, in bucket order."""
    import polars as pl

    frame = pl.concat([part.select(USER_ID, SEGMENT_ID) for part in read_frames(standing.assignments)])
    number: dict[Any, int] = {name: label for label, name in enumerate(standing.ids)}
    labels = np.array([number.get(name, -1) for name in frame[SEGMENT_ID].to_list()], np.int32)
    return frame[USER_ID], labels


def warm_start(standing: Standing, config: IdentityConfig, seed: int) -> np.ndarray:
    """(k, d) centroids to start from: the champion's members' means, and seeds wherever nobody stood before."""
    _, X = matrix(standing.vectors)
    _, labels = champion_labels(standing)
    means = warm_centroids(X, labels, len(standing.ids))
    return grow(X, means, config, np.random.default_rng(seed))


def warm_candidate(standing: Standing, config: IdentityConfig, seed: int) -> Candidate | None:
    """The candidate that keeps the champion's representation and starts from its centroids.

    None where the champion's algorithm starts from no centroids, or it finds a segment for nobody of today.
    """
    if standing.algorithm["kind"] != "kmeans":
        return None
    k = len(warm_start(standing, config, seed))
    if k == 0:
        return None
    return Candidate(name=f"kmeans-k{k}-warm", algorithm={**standing.algorithm, "k": k}, warm=True)


def recipe(standing: Standing, home: str) -> dict[str, Any]:
    """The config sections by which the champion makes vectors, as its bundle remembers them."""
    manifest = bundles.load(Path(home) / standing.bundle / BUNDLE).manifest
    families = tuple(plugin("features", one.family).Config(**one.config) for one in manifest.families)
    found: dict[str, Any] = {"features": families, "represent": RepresentConfig(**manifest.represent), "texts": None}
    if manifest.texts is not None and manifest.encoder is not None:
        encoder = plugin("encoders", manifest.encoder.kind).Config(**manifest.encoder.config)
        found |= {"texts": TextsConfig(**manifest.texts), "encoder": encoder}
    return found
