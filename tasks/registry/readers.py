"""What people ask of the published tables: a user's segment and history, a segment's members."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.asked import Exported, Listed, ListedSegment, Told
from schemas.errors import DataError, UsageError
from schemas.tables import (
    AS_OF,
    ASSIGNMENTS,
    FROM_SEGMENT_ID,
    MODEL_VERSION,
    NAME,
    REASONS,
    REVISION,
    SECOND_SEGMENT_ID,
    SEGMENT_ID,
    SEGMENTS,
    SHARE,
    SIZE,
    STATUS,
    TO_SEGMENT_ID,
    TRANSITIONS,
    USER_ID,
)
from tasks.cleaning.ids import one_id
from tasks.segments.segmenter import UNASSIGNED
from tasks.stores import pointer
from tasks.stores.tables import export, read_live

if TYPE_CHECKING:
    import polars as pl

Step = tuple[datetime, str | None, str | None, str]
"""as_of, segment before, segment after, model version."""
NOTHING_YET = "run `fenqun retrain` first"


def expect(home: str, segmentation: str) -> pointer.Live:
    """What is live of a segmentation; one of which nothing was ever live is refused.

    Raises:
        UsageError: it tells which ones there are.
    """
    live = pointer.read(home, segmentation).live
    if live is None:
        known = ", ".join(sorted(path.parent.name for path in (Path(home) / "segmentations").glob("*/live.json")))
        raise UsageError(f"{segmentation}: nothing is live; " + (f"there is {known}" if known else NOTHING_YET))
    return live


@dataclass(frozen=True)
class Snapshot:
    """The published tables of one revision: what is read together belongs together, whatever goes live meanwhile."""

    home: str
    segmentation: str
    live: pointer.Live

    def table(self, name: str) -> "pl.DataFrame":
        """A published table.

        Raises:
            DataError: it was not published, or is damaged.
        """
        return read_live(self.home, self.segmentation, name, self.live)


def snapshot(home: str, segmentation: str) -> Snapshot:
    """The published tables as they stand; a segmentation of which nothing was ever live is refused.

    Raises:
        UsageError: it tells which ones there are.
    """
    return Snapshot(home, segmentation, expect(home, segmentation))


def user(home: str, segmentation: str, user_id: str) -> Told:
    """A user's segment, reasons and history, as published.

    Raises:
        UsageError: nothing is live.
        DataError: nobody has this id, or nobody can.
    """
    import polars as pl

    seen = snapshot(home, segmentation)
    user_id = one_id(user_id, "the user's id")
    found = seen.table(ASSIGNMENTS.name).filter(pl.col(USER_ID) == user_id)
    if found.is_empty():
        raise DataError(f"{segmentation}: no user {user_id[:80]!r} in the published assignments")
    row = found.row(0, named=True)
    names = dict(seen.table(SEGMENTS.name).select(SEGMENT_ID, NAME).iter_rows())
    steps = seen.table(TRANSITIONS.name).filter(pl.col(USER_ID) == user_id)
    return Told(
        **{**row, REASONS: tuple(row[REASONS] or ())},
        name=names.get(row[SEGMENT_ID]),
        second_name=names.get(row[SECOND_SEGMENT_ID]),
        history=history(steps),
    )


def history(steps: "pl.DataFrame") -> tuple[Step, ...]:
    """A user's steps in the order in which they were published, which need not be that of the moments they look at.

    Those of earlier versions, which told no order, come first, by their moments.
    """
    import polars as pl

    told = (AS_OF, FROM_SEGMENT_ID, TO_SEGMENT_ID, MODEL_VERSION)
    silent = pl.col(REVISION).is_null()
    old = steps.filter(silent).sort(AS_OF, maintain_order=True).select(told).rows()
    return (*chained(old), *steps.filter(~silent).sort(REVISION).select(told).iter_rows())


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


def members(seen: Snapshot, segment: str | None) -> "pl.DataFrame":
    """Published assignments of one segment, of the `unassigned` pool, or of all (None).

    Raises:
        UsageError: there is no such segment.
    """
    import polars as pl

    frame = seen.table(ASSIGNMENTS.name)
    if segment is None:
        return frame
    if segment == UNASSIGNED:
        return frame.filter(pl.col(STATUS) == UNASSIGNED)
    known = seen.table(SEGMENTS.name).get_column(SEGMENT_ID).to_list()
    if segment not in known:
        raise UsageError(f"{seen.segmentation} has no segment {segment[:40]}; it has {', '.join(sorted(known))}")
    return frame.filter(pl.col(SEGMENT_ID) == segment)


def listed(home: str, segmentation: str) -> Listed:
    """The published segments, the largest first.

    Raises:
        UsageError: nothing is live.
    """
    seen = snapshot(home, segmentation)
    rows, live = seen.table(SEGMENTS.name).select(SEGMENT_ID, NAME, SIZE, SHARE), seen.live
    ordered = rows.sort([SIZE, SEGMENT_ID], descending=[True, False]).iter_rows()
    found = (ListedSegment(segment_id=one, name=name, users=users, share=share) for one, name, users, share in ordered)
    return Listed(segmentation=segmentation, model_version=live.model_version, as_of=live.as_of, segments=tuple(found))


def export_members(home: str, segmentation: str, segment: str | None, path: str) -> Exported:
    """Writes members, with the names of their segments, as CSV or Parquet, by the file's ending."""
    seen = snapshot(home, segmentation)
    frame = members(seen, segment)
    named = frame.join(
        seen.table(SEGMENTS.name).select(SEGMENT_ID, NAME), on=SEGMENT_ID, how="left", maintain_order="left"
    )
    order = [*frame.columns]
    order.insert(order.index(SEGMENT_ID) + 1, NAME)
    export(named.select(order), Path(path))
    return Exported(segmentation=segmentation, segment=segment, users=len(frame), output=str(Path(path)))
