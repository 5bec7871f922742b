"""What people ask of the published tables: a user's segment and history, a segment's members."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import DataError, UsageError
from schemas.runs import Told
from schemas.tables import (
    AS_OF,
    ASSIGNMENTS,
    CONFIDENCE,
    DISTANCE,
    FROM_SEGMENT_ID,
    MODEL_VERSION,
    NAME,
    REASONS,
    SECOND_SEGMENT_ID,
    SEGMENT_ID,
    SEGMENTS,
    STATUS,
    TO_SEGMENT_ID,
    TRANSITIONS,
    USER_ID,
)
from tasks.segments.segmenter import UNASSIGNED
from tasks.stores import pointer
from tasks.stores.tables import export, published

if TYPE_CHECKING:
    import polars as pl

Step = tuple[datetime, str | None, str | None, str]
"""as_of, segment before, segment after, model version."""
NOTHING_YET = "run `fenqun retrain` first"


def expect(home: str, segmentation: str) -> None:
    """Refuses a segmentation of which nothing was ever live.

    Raises:
        UsageError: it tells which ones there are.
    """
    if pointer.read(home, segmentation).live is None:
        known = ", ".join(sorted(path.parent.name for path in (Path(home) / "segmentations").glob("*/live.json")))
        raise UsageError(f"{segmentation}: nothing is live; " + (f"there is {known}" if known else NOTHING_YET))


def user(home: str, segmentation: str, user_id: str) -> Told:
    """A user's segment, reasons and history, as published.

    Raises:
        UsageError: nothing is live.
        DataError: nobody has this id.
    """
    import polars as pl

    expect(home, segmentation)
    found = published(home, segmentation, ASSIGNMENTS.name).filter(pl.col(USER_ID) == user_id)
    if found.is_empty():
        raise DataError(f"{segmentation}: no user {user_id[:80]!r} in the published assignments")
    row = found.row(0, named=True)
    names = dict(published(home, segmentation, SEGMENTS.name).select(SEGMENT_ID, NAME).iter_rows())
    steps = published(home, segmentation, TRANSITIONS.name).filter(pl.col(USER_ID) == user_id)
    ordered = steps.select(AS_OF, FROM_SEGMENT_ID, TO_SEGMENT_ID, MODEL_VERSION)
    return Told(
        user_id=user_id, status=row[STATUS], segment_id=row[SEGMENT_ID], name=names.get(row[SEGMENT_ID]),
        confidence=row[CONFIDENCE], distance=row[DISTANCE], second_segment_id=row[SECOND_SEGMENT_ID],
        second_name=names.get(row[SECOND_SEGMENT_ID]), reasons=tuple(row[REASONS] or ()),
        model_version=row[MODEL_VERSION], as_of=row[AS_OF],
        history=chained(ordered.sort(AS_OF, maintain_order=True).rows()),
    )  # fmt: skip


def chained(steps: list[Step]) -> tuple[Step, ...]:
    """A user's steps, oldest first; those of one moment, which a table keeps in no order, each from where one ended."""
    left, told, here = list(steps), [], None
    while left:
        now = [step for step in left if step[0] == left[0][0]]
        step = next((step for step in now if step[1] == here), now[0])
        left.remove(step)
        told.append(step)
        here = step[2]
    return tuple(told)


def members(home: str, segmentation: str, segment: str | None) -> "pl.DataFrame":
    """Published assignments of one segment, of the `unassigned` pool, or of all (None).

    Raises:
        UsageError: there is no such segment or segmentation.
    """
    import polars as pl

    expect(home, segmentation)
    frame = published(home, segmentation, ASSIGNMENTS.name)
    if segment is None:
        return frame
    if segment == UNASSIGNED:
        return frame.filter(pl.col(STATUS) == UNASSIGNED)
    known = published(home, segmentation, SEGMENTS.name).get_column(SEGMENT_ID).to_list()
    if segment not in known:
        raise UsageError(f"{segmentation} has no segment {segment[:40]}; it has {', '.join(sorted(known))}")
    return frame.filter(pl.col(SEGMENT_ID) == segment)


def export_members(home: str, segmentation: str, segment: str | None, path: str) -> int:
    """Writes members as CSV or Parquet, by the file's ending; returns how many."""
    frame = members(home, segmentation, segment)
    export(frame, Path(path))
    return len(frame)
