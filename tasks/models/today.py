"""The champion on today's data: who is where as readers have it, and where it puts today's users by itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.artifacts import ArtifactRef
from schemas.config import RepresentConfig, TextsConfig
from schemas.runs import Placed, SliceName, Slices, Standing, Vectors
from schemas.tables import ASSIGNMENTS, COLOUR, SEGMENT_ID, SEGMENTS, USER_ID, Bucket
from tasks.disk.artifacts import fingerprint, produce, write_parquet
from tasks.models.assemble import segmenter
from tasks.models.basis import coverage
from tasks.models.keep import BUNDLE
from tasks.models.scored import assign_all, champion, filled_lookup
from tasks.plugins.find import block, plugin
from tasks.segments import bundle as bundles
from tasks.segments.bundle import Bundle
from tasks.stores import pointer
from tasks.stores import tables as published_tables
from tasks.stores.book import Day, at
from tasks.stores.buckets import bucket_path, map_buckets
from tasks.vectors.features import vector_column

if TYPE_CHECKING:
    import polars as pl


def revisit(day: Day, slices: Slices | None = None) -> Standing | None:
    """The champion on today's data, and on the slices that candidates learn from; None where nothing is live.

    Args:
        day: The run.
        slices: Today's fresh vectors, whose slices the champion is put on; None: it is put on today's users only.
    """
    found = champion(day.context.home, day.name)
    if found is None:
        return None
    live, bundle = found
    standing = on_today(day, bundle, live.model_version, live.bundle)
    taken = pointer.read(day.context.home, day.name).next_number  # also by a champion that was rolled back since
    facts: dict[str, Any] = {
        "users": live.users,
        "as_of": live.as_of,
        "published": as_published(day, live),
        "colours": colours_of(day, live),
        "next_number": max(standing.next_number, taken),
    }
    if slices is not None:
        made: dict[SliceName, Placed] = {"all": standing.placed["all"]}
        parts: tuple[tuple[SliceName, Vectors], ...] = (("choosing", slices.choosing), ("proving", slices.proving))
        for name, one in parts:
            made[name] = placed(day, bundle, live.model_version, one.slice.tables)
        if slices.dated is not None and slices.date is not None:
            made["dated"] = placed(at(day, slices.date), bundle, live.model_version, slices.dated.slice.tables)
        facts["placed"], facts["basis"] = made, coverage(day, bundle, slices.all)
    return standing.model_copy(update=facts)


def on_today(day: Day, bundle: Bundle, version: str, folder: str) -> Standing:
    """A model of another day on today's data.

    Args:
        day: The run.
        bundle: The model.
        version: Its model version.
        folder: Folder of its artifact, relative to the state folder.
    """
    manifest = bundle.manifest
    return Standing(
        version=version,
        bundle=folder,
        users=0,
        as_of=manifest.as_of,
        algorithm=manifest.clusterer.config,
        ids=manifest.ids,
        names=tuple(segment.name for segment in manifest.segments),
        cited={segment.id: segment.cites for segment in manifest.segments},
        next_number=manifest.next_number,
        placed={"all": placed(day, bundle, version, day.tables)},
    )


def placed(day: Day, bundle: Bundle, version: str, tables: Mapping[str, ArtifactRef]) -> Placed:
    """The users of some tables in a model's own space, and its assignments of them."""
    run, execution = day.context, day.settings.execution
    sha256, lookup = bundles.content_sha256(bundle), filled_lookup(bundle, tables, run, execution)
    ready = segmenter(bundle, lookup=lookup, device=execution.device)
    digest = fingerprint("champion vectors", sha256, dict(tables), run.as_of, run.code_version)

    def transform(bucket: Bucket) -> "pl.DataFrame":
        import polars as pl

        ids, X = ready.vectors(bucket, run.as_of)
        return pl.DataFrame({USER_ID: ids}, schema={USER_ID: pl.String}).with_columns(vector_column(X))

    vectors = map_buckets(tables, transform, execution, home=run.home, kind="user_vectors", digest=digest)
    assignments = assign_all(bundle, sha256, version, tables, run, execution, lookup)
    return Placed(vectors=vectors, assignments=assignments)


def as_published(day: Day, live: pointer.Live) -> ArtifactRef:
    """The assignments that readers have, as an artifact of the run."""
    version = live.tables[ASSIGNMENTS.name]

    def write(place: Path) -> dict[str, Any]:
        frame = published_tables.read_live(day.context.home, day.name, ASSIGNMENTS.name, live)
        write_parquet(bucket_path(place, 0), frame.select(USER_ID, SEGMENT_ID))
        return {"rows": len(frame), "columns": (USER_ID, SEGMENT_ID)}

    digest = fingerprint("published", day.name, version, live.sha256, live.run_id, live.as_of)
    return produce(day.context.home, "published", digest, write)


def colours_of(day: Day, live: pointer.Live) -> dict[str, str]:
    """Segment id -> colour, as readers have it."""
    segments = published_tables.read_live(day.context.home, day.name, SEGMENTS.name, live)
    return dict(segments.select(SEGMENT_ID, COLOUR).drop_nulls().iter_rows())


def recipe(standing: Standing, home: str) -> dict[str, Any]:
    """The config sections by which a model makes vectors, as its bundle remembers them."""
    manifest = bundles.load(Path(home) / standing.bundle / BUNDLE).manifest
    found: dict[str, Any] = {"features": (), "behaviour_encoders": ()}
    for one in manifest.families:
        folder, module = block(one.family)
        found[folder] = (*found[folder], module.Config(**one.config))
    found |= {"represent": RepresentConfig(**manifest.represent), "texts": None}
    if manifest.texts is not None and manifest.encoder is not None:
        encoder = plugin("encoders", manifest.encoder.kind).Config(**manifest.encoder.config)
        found |= {"texts": TextsConfig(**manifest.texts), "encoder": encoder}
    return found
