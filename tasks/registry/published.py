"""The tables that would be published with a version, made before anybody decides: what was checked is published."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.artifacts import ArtifactRef
from schemas.reports import SegmentProfile
from schemas.runs import Publication, Registered, Standing
from schemas.tables import AS_OF, MODEL_VERSION, SEGMENT_ID, SEGMENTS, SHARE, SIZE, TRANSITIONS
from tasks.disk.artifacts import fingerprint, produce, write_parquet
from tasks.segments.identity import transitions
from tasks.stores.book import Day
from tasks.stores.buckets import bucket_path, read_table

if TYPE_CHECKING:
    import polars as pl


def publication(
    day: Day, model: Registered, profiles: tuple[SegmentProfile, ...], standing: Standing | None
) -> Publication:
    """What would be published.

    Transitions lead from what was published last, so that a user's history is a chain without gaps.

    Args:
        day: The run.
        model: The registered version, with its assignments.
        profiles: Its segments.
        standing: The champion, with what readers have; None: nothing was published yet.
    """
    before = None if standing is None else standing.published
    next_ = day.revision + 1  # if another change comes first, this one is refused

    def moves() -> "pl.DataFrame":
        old = None if before is None else read_table(before)
        return transitions(old, read_table(model.assignments), day.as_of, model.version, revision=next_)

    facts = [profile.model_dump(mode="json") for profile in profiles]
    return Publication(
        assignments=model.assignments,
        segments=_kept(
            day,
            SEGMENTS.name,
            (facts, model.version, day.as_of),
            lambda: segments_frame(profiles, model.version, day.as_of),
        ),
        transitions=_kept(day, TRANSITIONS.name, (before, model.assignments, day.as_of, model.version, next_), moves),
    )


def _kept(day: Day, name: str, known: tuple[Any, ...], make: "Callable[[], pl.DataFrame]") -> ArtifactRef:
    def write(place: Path) -> dict[str, Any]:
        frame = make()
        write_parquet(bucket_path(place, 0), frame)
        return {"rows": len(frame), "columns": tuple(frame.columns)}

    digest = fingerprint(name, *known, day.context.code_version)
    return produce(day.context.home, f"published-{name}", digest, write)


def resized(segments: "pl.DataFrame", assignments: "pl.DataFrame", as_of: datetime) -> "pl.DataFrame":
    """The published segments with today's sizes."""
    import polars as pl

    counted = assignments.group_by(SEGMENT_ID).len(SIZE).select(SEGMENT_ID, pl.col(SIZE).cast(pl.Int64))
    joined = segments.drop(SIZE, SHARE).join(counted, on=SEGMENT_ID, how="left", maintain_order="left")
    return joined.with_columns(
        pl.col(SIZE).fill_null(0),
        (pl.col(SIZE).fill_null(0) / max(len(assignments), 1)).alias(SHARE),
        pl.lit(as_of).cast(segments.schema[AS_OF]).alias(AS_OF),
    ).select(segments.columns)


def segments_frame(profiles: tuple[SegmentProfile, ...], version: str, as_of: datetime) -> "pl.DataFrame":
    """Segment profiles as the published table."""
    import polars as pl

    told = [name for name in SEGMENTS.names if name in SegmentProfile.model_fields]
    rows = [{name: getattr(profile, name) for name in told} for profile in profiles]
    frame = pl.DataFrame(rows, schema={name: SEGMENTS.polars_schema()[name] for name in told})
    return frame.with_columns(pl.lit(version).alias(MODEL_VERSION), pl.lit(as_of).alias(AS_OF)).select(SEGMENTS.names)
