"""The second half of ingest: one bucket's part file becomes its Parquet file. Buckets are independent of each other."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.batches import ROW
from schemas.config import IngestConfig
from schemas.errors import DataError
from schemas.tables import BUCKETED, COLUMN, INPUTS, ITEM_ID, LOCATOR, REASON, SEQUENCE, TIMESTAMP, Table
from tasks.cleaning.duplicates import deduplicate
from tasks.cleaning.outliers import Spread, outlying
from tasks.cleaning.reasons import Reason
from tasks.disk.artifacts import write_parquet
from tasks.ingestion.parts import read_part
from tasks.stores.buckets import bucket_path

if TYPE_CHECKING:
    import polars as pl

ORIGIN = "__origin"
HIDDEN = (ROW, ORIGIN)
_KEY = "__key"


@dataclass(frozen=True)
class Job:
    """What finishing any bucket of one table needs. Small and picklable, so that it can travel to a worker.

    Attributes:
        table: Name of the table.
        parts: Folder of the part files.
        place: Folder of the finished buckets.
        previous: Folder of an earlier run's buckets, whose rows come first and stay; None: there was none.
        config: Policies.
        key: Columns that the source declares unique together within a user.
        origins: Names that the hidden column of origins points to.
        spreads: Median and scale of each column whose outliers are set aside.
    """

    table: str
    parts: Path
    place: Path
    previous: Path | None
    config: IngestConfig
    key: tuple[str, ...]
    origins: tuple[str, ...]
    spreads: dict[str, Spread]


@dataclass(frozen=True)
class Finished:
    """One finished bucket: rows in its file, how many of them are old, and what was left out."""

    rows: int
    old: int
    dropped: int
    newest: datetime | None
    set_aside: "pl.DataFrame"


def first_sequence(previous: Path | None, buckets: int, table: Table) -> int:
    """Highest sequence number of an earlier run; new rows count on from there.

    Raises:
        DataError: the earlier run had another number of buckets.
    """
    import polars as pl

    if previous is None:
        return 0
    if len(list(previous.glob("bucket-*.parquet"))) != buckets:
        raise DataError(f"{table.name}: the earlier run had another number of buckets; ingest everything again")
    if SEQUENCE not in table.names:
        return 0
    return pl.scan_parquet(previous / "bucket-*.parquet").select(pl.col(SEQUENCE).max()).collect().item() or 0


def _located(rows: "pl.DataFrame", job: Job, column: str, reason: Reason) -> "pl.DataFrame":
    """Locator, column and reason of rows that carry their hidden columns; none where they carry none."""
    import polars as pl

    if not len(rows):
        return pl.DataFrame(schema={LOCATOR: pl.String, COLUMN: pl.String, REASON: pl.String})
    names = pl.Series(list(job.origins), dtype=pl.String).gather(rows[ORIGIN])
    return rows.select(
        (pl.lit(names) + ":" + pl.col(ROW).cast(pl.String)).alias(LOCATOR),
        pl.lit(column).alias(COLUMN),
        pl.lit(str(reason)).alias(REASON),
    )


def _without_outliers(frame: "pl.DataFrame", job: Job) -> "tuple[pl.DataFrame, list[pl.DataFrame]]":
    """Rows within bounds, and those set aside."""
    notes = []
    for column, spread in job.spreads.items():
        mask = outlying(frame[column], spread, job.config.outliers[f"{job.table}.{column}"].z)
        if mask.any():
            notes.append(_located(frame.filter(mask), job, column, Reason.OUTLIER))
            frame = frame.filter(~mask)
    return frame, notes


def _foreign(job: Job) -> tuple[str, ...]:
    """Columns of a declared key that the contract has no place for."""
    table = INPUTS[job.table]
    return () if table.open else tuple(name for name in job.key if name not in table.names)


def _ordered(rows: "pl.DataFrame", table: str) -> "pl.DataFrame":
    """Rows by user (or item), then time, then sequence; rows equal in all keep their order.

    Where the sequence already ascends, one number per row is enough: the user's alone where time ascends too (16 bits
    are sorted by radix), else user and time in 64 bits.
    """
    import numpy as np
    import polars as pl

    owner = BUCKETED.get(table, ITEM_ID)
    by = [owner, *(name for name in (TIMESTAMP, SEQUENCE) if name in rows.columns)]
    if by[1:] != [TIMESTAMP, SEQUENCE] or not len(rows) or not rows[SEQUENCE].is_sorted():
        return rows.sort(by, maintain_order=True)
    names, times = rows[owner].unique().sort(), rows[TIMESTAMP].to_physical()
    codes = rows[owner].cast(pl.Enum(names)).to_physical()
    if times.is_sorted():
        small = codes.to_numpy().astype(np.uint16 if len(names) <= 2**16 else np.uint32)
        return rows[np.argsort(small, kind="stable")]
    times = (times - times.min()).cast(pl.UInt64)
    span = int(times.max()) + 1  # type: ignore[arg-type]
    if span * len(names) >= 2**64:
        return rows.sort(by, maintain_order=True)
    return (
        rows.with_columns((codes.cast(pl.UInt64) * span + times).alias(_KEY)).sort(_KEY, maintain_order=True).drop(_KEY)
    )


def finish(job: Job, bucket: int) -> Finished:
    """Sets outliers aside, removes duplicates, orders the rows and writes the bucket.

    Rows of an earlier run are neither judged nor counted again; new rows that repeat or contradict them are.
    """
    import polars as pl

    frame, notes = _without_outliers(read_part(job.parts, bucket), job)
    old = 0
    if job.previous is not None:
        earlier = pl.read_parquet(bucket_path(job.previous, bucket))
        old = len(earlier)
        frame = pl.concat([earlier, frame], how="diagonal")
    done = deduplicate(frame, INPUTS[job.table], job.config.repeats, job.key, HIDDEN)
    keys = job.key or INPUTS[job.table].key
    notes.append(_located(done.conflicts, job, keys[-1] if keys else "", Reason.OTHER_VALUES))
    kept = _ordered(done.kept.drop(*HIDDEN, *_foreign(job), strict=False), job.table)
    write_parquet(bucket_path(job.place, bucket), kept)
    newest = kept[TIMESTAMP].max() if TIMESTAMP in kept.columns else None
    return Finished(len(kept), old, done.dropped, newest, pl.concat(notes))  # type: ignore[arg-type]
