"""Ingest: batches in, clean buckets of users out, every row accounted for. No table is ever whole in memory.

Pass one cleans each batch and appends its rows to their users' part files (the only shuffle of a run). Pass two makes
each bucket's Parquet file by itself: outliers, duplicates, order.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.batches import Reading
from schemas.config import IngestConfig
from schemas.errors import DataError
from schemas.reports import Accounting
from schemas.tables import (
    BUCKETED,
    COLUMN,
    EVENTS,
    INPUTS,
    LOCATOR,
    QUARANTINE,
    REASON,
    RUN_ID,
    SEQUENCE,
    TABLE,
    TEXTS,
    Table,
)  # fmt: skip
from tasks.cleaning.outliers import check_policies, spread
from tasks.cleaning.rows import Cleaned, clean
from tasks.cleaning.shuffle import partition
from tasks.stores._finish import ORIGIN, Finished, Job, bucket_path, finish, first_sequence
from tasks.stores._parts import Parts, ahead, read_part_column

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]
_KINDS = {"String": "text", "Float64": "a number"}


def serially(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Runs the buckets one after the other."""
    return [function(item) for item in items]


@dataclass(frozen=True)
class IngestedTable:
    """One table on disk: `bucket-0000.parquet` and so on in its folder."""

    name: str
    rows: int
    buckets: int
    columns: tuple[str, ...]
    accounting: Accounting
    newest: datetime | None


@dataclass(frozen=True)
class Ingested:
    """All tables of a run.

    Attributes:
        tables: Table name -> what was written.
        quarantine: One line per row set aside, in the contract of `schemas.tables.QUARANTINE`.
        as_of: The given moment, else the newest accepted timestamp.
    """

    tables: dict[str, IngestedTable]
    quarantine: "pl.DataFrame"
    as_of: datetime


@dataclass
class _Tally:
    """What the first pass has seen of one table."""

    read: int = 0
    sequence: int = 0
    key: tuple[str, ...] = ()
    origins: dict[str, int] = field(default_factory=dict)
    decoded: dict[str, int] = field(default_factory=dict)
    set_aside: "list[pl.DataFrame]" = field(default_factory=list)
    schema: "dict[str, pl.DataType] | None" = None


def _outlier_columns(table: Table, config: IngestConfig) -> tuple[str, ...]:
    """Columns of the table whose extreme values are set aside."""
    aside = [name.partition(".") for name, policy in config.outliers.items() if policy.action == "quarantine"]
    return tuple(column for name, _, column in aside if name == table.name)


def _admit(batch: "pa.RecordBatch", reading: Reading, tally: _Tally, config: IngestConfig) -> "pl.DataFrame":
    """The batch as a frame with sequence numbers, after its decoded size was counted against the limit."""
    import polars as pl

    decoded = tally.decoded.get(reading.origin, 0) + batch.nbytes
    if decoded > config.max_decoded_bytes:
        raise DataError(
            f"{reading.origin} decodes to more than {config.max_decoded_bytes:,} bytes; "
            "if that is expected, raise ingest.max_decoded_bytes"
        )
    tally.decoded[reading.origin] = decoded
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _numbered(frame: "pl.DataFrame", table: Table, tally: _Tally) -> "pl.DataFrame":
    """The frame with the table's running row numbers, unless the source brings its own."""
    import polars as pl

    start = tally.sequence + 1
    tally.read += len(frame)
    tally.sequence += len(frame)
    if SEQUENCE in frame.columns or SEQUENCE not in table.names:
        return frame
    return frame.with_columns(pl.int_range(start, start + len(frame), dtype=pl.Int64).alias(SEQUENCE))


def _shaped(done: Cleaned, reading: Reading, tally: _Tally, tracked: bool) -> "pl.DataFrame":
    """Accepted rows in the schema of the table's first batch, with their place in the source where that is needed.

    Raises:
        DataError: the batch's columns are others than the first batch's.
    """
    import polars as pl

    frame = done.accepted
    if tracked:
        number = tally.origins.setdefault(reading.origin, len(tally.origins))
        frame = frame.with_columns(done.rows, pl.lit(number, dtype=pl.Int32).alias(ORIGIN))
    if tally.schema is None:
        tally.schema = dict(frame.schema)
    if frame.schema == tally.schema:
        return frame
    if odd := set(frame.columns) ^ set(tally.schema):
        raise DataError(
            f"{reading.origin}: column {min(odd)} is not in all files of the table, or not from their first rows on; "
            "give all the same columns, or list those to take in the source's attributes"
        )
    empty = [name for name, dtype in tally.schema.items() if frame.schema[name] != dtype]
    for name in empty:
        if frame[name].null_count() < len(frame):
            here, before = (_KINDS.get(str(dtype), "a list") for dtype in (frame.schema[name], tally.schema[name]))
            raise DataError(
                f"{reading.origin}: column {name} is {here} here but {before} in earlier files or rows; "
                "give it one type, or name it in the source's numeric"
            )
    frame = frame.with_columns(pl.lit(None, tally.schema[name]).alias(name) for name in empty)
    return frame.select(tally.schema.keys())


def _shuffle(
    table: Table, batches: "Iterator[pa.RecordBatch]", config: IngestConfig, parts: Parts, tally: _Tally,
    as_of: datetime | None, now: datetime,
) -> None:  # fmt: skip
    """Pass one: cleans every batch and appends its rows to their buckets."""
    owner = BUCKETED.get(table.name)
    outliers = bool(_outlier_columns(table, config))
    for batch in ahead(batches):
        reading = Reading.of(batch.schema.metadata)
        tally.key = reading.key
        frame = _numbered(_admit(batch, reading, tally, config), table, tally)
        done = clean(frame, table, config, as_of, now, reading)
        if len(done.set_aside):
            tally.set_aside.append(done.set_aside)
        rows = _shaped(done, reading, tally, tracked=bool(outliers or table.key or reading.key))
        parts.append([rows] if owner is None else partition(rows, owner, config.buckets))


def _table(
    table: Table, batches: "Iterator[pa.RecordBatch]", config: IngestConfig, place: Path, previous: Path | None,
    as_of: datetime | None, now: datetime, run: Mapper,
) -> "tuple[IngestedTable, list[pl.DataFrame]]":  # fmt: skip
    """Both passes over one table."""
    import polars as pl

    buckets = config.buckets if table.name in BUCKETED else 1
    tally = _Tally(sequence=first_sequence(previous, buckets, table))
    folder = place / ".parts"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with Parts(folder, buckets) as parts:
            _shuffle(table, batches, config, parts, tally, as_of, now)
            if tally.schema is None:
                parts.append([pl.DataFrame(schema=table.polars_schema())] * buckets)
        check_policies(table, config, tally.schema or {})
        columns = _outlier_columns(table, config)
        spreads = {name: spread(read_part_column(folder, buckets, name)) for name in columns}
        job = Job(table.name, folder, place, previous, config, tally.key, tuple(tally.origins), spreads)
        finished: list[Finished] = run(partial(finish, job), range(buckets))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _summary(table, tally, finished, place, buckets)


def _summary(
    table: Table, tally: _Tally, finished: list[Finished], place: Path, buckets: int
) -> "tuple[IngestedTable, list[pl.DataFrame]]":
    """Adds up the buckets and checks that every row is accounted for."""
    import polars as pl

    set_aside = [*tally.set_aside, *(bucket.set_aside for bucket in finished if len(bucket.set_aside))]
    rows = sum(bucket.rows for bucket in finished)
    accounting = Accounting(
        table=table.name,
        read=tally.read,
        accepted=rows - sum(bucket.old for bucket in finished),
        quarantined=sum(map(len, set_aside)),
        deduplicated=sum(bucket.dropped for bucket in finished),
    )
    if not accounting.balanced:
        raise RuntimeError(f"rows went astray, this is a bug: {accounting}")
    times = [bucket.newest for bucket in finished if bucket.newest is not None]
    names = tuple(pl.read_parquet_schema(bucket_path(place, 0)))
    return IngestedTable(table.name, rows, buckets, names, accounting, max(times, default=None)), set_aside


def _quarantine(set_aside: "Mapping[str, list[pl.DataFrame]]", run_id: str) -> "pl.DataFrame":
    """All rows set aside, in the contract's columns."""
    import polars as pl

    schema = QUARANTINE.polars_schema()
    frames = [
        frame.with_columns(pl.lit(name).alias(TABLE), pl.lit(run_id).alias(RUN_ID)).select(*schema)
        for name, several in set_aside.items()
        for frame in several
    ]
    return pl.concat([pl.DataFrame(schema=schema), *frames])


def _check_not_empty(tables: Mapping[str, IngestedTable], quarantine: "pl.DataFrame") -> None:
    """DataError where neither events nor texts have a row; it tells why the rows were set aside."""
    import polars as pl

    given = [tables[name] for name in (EVENTS.name, TEXTS.name) if name in tables]
    if not given:
        raise DataError("the source gives neither events nor texts; at least one of them is needed")
    if any(table.rows for table in given):
        return
    read = sum(table.accounting.read for table in given)
    words = f"no rows in {' and '.join(table.name for table in given)}"
    if read:
        why = quarantine.group_by(COLUMN, REASON).agg(pl.len().alias("rows"), pl.col(LOCATOR).first())
        column, reason, _, first = why.sort("rows", descending=True).row(0)
        words += f": all {read} were set aside, most of them because {column} is {reason} (the first: {first}); mend "
        words += "the data, or the source's time_format, nulls or columns"
    raise DataError(words)


def ingest(
    read: "Mapping[str, Iterator[pa.RecordBatch]]",
    config: IngestConfig,
    folder: Path,
    run_id: str,
    as_of: datetime | None,
    now: datetime,
    *,
    run: Mapper = serially,
    previous: Mapping[str, Path] | None = None,
) -> Ingested:
    """Cleans, shuffles and writes all tables of a source under `folder/<table>/bucket-NNNN.parquet`.

    Args:
        read: What a source's `read` returns.
        config: Buckets, limits and policies.
        folder: Where to write.
        run_id: Stands in the quarantine.
        as_of: Rows after it are set aside; None: rows after `now` are.
        now: The clock.
        run: Maps a function over bucket numbers, in parallel if it likes.
        previous: Table -> folder of an earlier run's buckets that the new rows are added to.

    Raises:
        DataError: unknown table, no rows at all, unreadable source, or a file that decodes beyond the limit.
    """
    tables: dict[str, IngestedTable] = {}
    aside: dict[str, list[pl.DataFrame]] = {}
    for name, batches in read.items():
        if name not in INPUTS:
            raise DataError(f"the source gives a table {name!r}; known are {', '.join(INPUTS)}")
        old = (previous or {}).get(name)
        tables[name], aside[name] = _table(
            INPUTS[name], batches, config, folder / name, old, as_of, now, run
        )  # fmt: skip
    quarantine = _quarantine(aside, run_id)
    _check_not_empty(tables, quarantine)
    times = [tables[name].newest for name in (EVENTS.name, TEXTS.name) if name in tables]
    newest = max((time for time in times if time is not None), default=now)
    return Ingested(tables, quarantine, as_of or newest)
