"""Ingest: batches in, clean buckets of users out, every row accounted for. No table is ever whole in memory.

Pass one cleans each batch and appends its rows to their users' part files (the only shuffle of a run). Pass two makes
each bucket's Parquet file by itself: outliers, duplicates, order.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.batches import Reading
from schemas.config import IngestConfig
from schemas.errors import DataError
from schemas.reports import Accounting
from schemas.tables import (
    BUCKETED,
    DST,
    EDGES,
    EVENTS,
    INPUTS,
    QUARANTINE,
    RUN_ID,
    SRC,
    TABLE,
    TEXTS,
    USER_ID,
    USERS,
    Table,
)
from tasks.cleaning.outliers import check_policies, spread
from tasks.cleaning.reasons import most_of
from tasks.cleaning.rows import clean
from tasks.cleaning.shuffle import partition
from tasks.ingestion.batch import Tally, admit, check_decimals, numbered, shaped
from tasks.ingestion.finish import Finished, Job, finish, first_sequence
from tasks.ingestion.parts import Parts, ahead, read_part_column
from tasks.stores.buckets import bucket_path

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]


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


def _outlier_columns(table: Table, config: IngestConfig) -> tuple[str, ...]:
    """Columns of the table whose extreme values are set aside."""
    aside = [name.partition(".") for name, policy in config.outliers.items() if policy.action == "quarantine"]
    return tuple(column for name, _, column in aside if name == table.name)


class Look(NamedTuple):
    """Who reads, and when.

    Attributes:
        run_id: Stands in the quarantine.
        as_of: Rows after it are set aside; None: rows after `now` are.
        now: The clock.
    """

    run_id: str
    as_of: datetime | None
    now: datetime


def _shuffle(
    table: Table,
    batches: "Iterator[pa.RecordBatch]",
    config: IngestConfig,
    parts: Parts,
    tally: Tally,
    look: Look,
) -> None:
    """Pass one: cleans every batch and appends its rows to their buckets."""
    owner = BUCKETED.get(table.name)
    outliers = bool(_outlier_columns(table, config))
    for batch in ahead(batches):
        reading = Reading.of(batch.schema.metadata)
        tally.key = reading.key
        frame = numbered(admit(batch, reading, tally, config), table, tally)
        done = clean(frame, table, config, look.as_of, look.now, reading)
        tally.doubtful.update(done.doubtful)
        if len(done.set_aside):
            tally.set_aside.append(done.set_aside)
        rows = shaped(done, reading, tally, tracked=bool(outliers or table.key or reading.key))
        parts.append([rows] if owner is None else partition(rows, owner, config.buckets))


def _table(
    table: Table,
    batches: "Iterator[pa.RecordBatch]",
    config: IngestConfig,
    place: Path,
    previous: Path | None,
    look: Look,
    run: Mapper,
) -> "tuple[IngestedTable, list[pl.DataFrame]]":
    """Both passes over one table."""
    import polars as pl

    buckets = config.buckets if table.name in BUCKETED else 1
    tally = Tally(sequence=first_sequence(previous, buckets, table))
    folder = place / ".parts"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with Parts(folder, buckets) as parts:
            _shuffle(table, batches, config, parts, tally, look)
            check_decimals(tally)
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
    table: Table, tally: Tally, finished: list[Finished], place: Path, buckets: int
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


def with_users(tables: "Mapping[str, IngestedTable]") -> "list[IngestedTable]":
    """Tables that say who the users are: what they did and wrote, or else who they are and whom they know."""
    own = [tables[name] for name in (EVENTS.name, TEXTS.name) if name in tables]
    return own or [tables[name] for name in (USERS.name, EDGES.name) if name in tables]


def newest_of(tables: "Mapping[str, IngestedTable]") -> datetime | None:
    """The newest accepted timestamp of the tables that say who the users are; None where none of them has times."""
    return max((table.newest for table in with_users(tables) if table.newest is not None), default=None)


def _ends(ties: Path) -> "Iterator[pa.RecordBatch]":
    """Everyone who stands at an end of a tie, as one batch of users: ties alone come with no other table of them."""
    import polars as pl
    import pyarrow as pa

    edges = pl.scan_parquet(ties / "bucket-*.parquet")
    ends = pl.concat([edges.select(pl.col(end).cast(pl.String).alias(USER_ID)) for end in (SRC, DST)])
    users = ends.unique().collect(engine="streaming").sort(USER_ID)
    yield pa.RecordBatch.from_pydict({USER_ID: users[USER_ID].to_arrow()})


def _check_not_empty(tables: Mapping[str, IngestedTable], quarantine: "pl.DataFrame") -> None:
    """DataError where no table has a user; it tells why the rows were set aside."""
    given = with_users(tables)
    if not given:
        raise DataError("the source gives no users; they stand in events, texts, users or edges: give one at least")
    if any(table.rows for table in given):
        return
    read = sum(table.accounting.read for table in given)
    words = f"no rows in {' and '.join(table.name for table in given)}"
    if read:
        words += f": all {read} were set aside, most of them because {most_of(quarantine)}; mend the data, or the "
        words += "source's time_format, nulls or columns"
    raise DataError(words)


def ingest(
    read: "Mapping[str, Iterator[pa.RecordBatch]]",
    config: IngestConfig,
    folder: Path,
    look: Look,
    *,
    run: Mapper = serially,
    previous: Mapping[str, Path] | None = None,
) -> Ingested:
    """Cleans, shuffles and writes all tables of a source under `folder/<table>/bucket-NNNN.parquet`.

    Args:
        read: What a source's `read` returns.
        config: Buckets, limits and policies.
        folder: Where to write.
        look: Who reads, and when.
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
        tables[name], aside[name] = _table(INPUTS[name], batches, config, folder / name, old, look, run)
    if EDGES.name in tables and not tables.keys() & {EVENTS.name, TEXTS.name, USERS.name}:
        everyone = _ends(folder / EDGES.name)
        tables[USERS.name], aside[USERS.name] = _table(USERS, everyone, config, folder / USERS.name, None, look, run)
    quarantine = _quarantine(aside, look.run_id)
    _check_not_empty(tables, quarantine)
    return Ingested(tables, quarantine, look.as_of or newest_of(tables) or look.now)
