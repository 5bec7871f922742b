"""What ingest would make of the first rows of each table: nothing is written."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from schemas.asked import Aside, Sampled
from schemas.batches import ROW, Reading
from schemas.config import IngestConfig, Section
from schemas.tables import EVENT, EVENTS, INPUTS, SEQUENCE, TIMESTAMP, Table
from tasks.cleaning.ids import nobody
from tasks.cleaning.reasons import by_reason
from tasks.cleaning.rows import clean
from tasks.ingestion.batch import Tally, admit, check_decimals, numbered, shaped
from tasks.plugins.find import module_of

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

_WORDS = {"String": "text", "Float64": "number", "Int64": "number"}


def sample(source: Section, config: IngestConfig, now: datetime, rows: int = 10_000) -> tuple[Sampled, ...]:
    """Reads the first rows of every table of a source, as ingest does.

    Args:
        source: A `Config` of `tasks/sources`.
        config: Row policies.
        now: The clock.
        rows: How many of a table, at most.

    Raises:
        DataError: what would stop ingest itself, as far as these rows show it.
    """
    read = module_of("sources", source).read(source)
    return tuple(_table(INPUTS[name], batches, config, now, rows) for name, batches in read.items() if name in INPUTS)


def _table(
    table: Table, batches: "Iterator[pa.RecordBatch]", config: IngestConfig, now: datetime, rows: int
) -> Sampled:
    """One table's first rows."""
    tally, taken, reading, lines = Tally(), [], Reading(), set[tuple[str, int]]()
    with closing(cast(Any, batches)) if hasattr(batches, "close") else nullcontext():
        for batch in batches:
            reading = Reading.of(batch.schema.metadata)
            frame = numbered(admit(batch.slice(0, rows - tally.read), reading, tally, config), table, tally)
            lines.update((reading.origin, row) for row in (frame[ROW] if ROW in frame.columns else ()))
            done = clean(frame, table, config, None, now, reading)
            tally.doubtful.update(done.doubtful)
            tally.set_aside.append(done.set_aside)
            taken.append(shaped(done, reading, tally, tracked=False))
            if tally.read >= rows:
                break
    check_decimals(tally)
    return _told(table, tally, taken, reading, len(lines))


def _told(table: Table, tally: Tally, taken: "list[pl.DataFrame]", reading: Reading, lines: int) -> Sampled:
    """What became of the rows, which stand on so many lines; 0: a row is a line, or its place is not told."""
    import polars as pl

    frame = pl.concat(taken) if taken else pl.DataFrame(schema=table.polars_schema())
    columns = {name: _WORDS.get(str(dtype), _kind(dtype)) for name, dtype in frame.schema.items() if name != SEQUENCE}
    names = frame[EVENT].cast(pl.String) if table.name == EVENTS.name else pl.Series([], dtype=pl.String)
    times = frame[TIMESTAMP].drop_nulls() if TIMESTAMP in frame.columns else pl.Series([], dtype=pl.Datetime)
    return Sampled(
        table=table.name,
        read=tally.read,
        lines=lines if 0 < lines < tally.read else None,
        taken=len(frame),
        columns=columns,
        own=dict(reading.named),
        unread=reading.unread,
        empty=tuple(name for name in columns if frame[name].null_count() == len(frame)),
        event_names=tuple(name for name, _ in Counter(names.sort()).most_common()),
        times=(times.min(), times.max()) if len(times) else None,
        nobody=nobody(frame),
        aside=_reasons(tally),
    )


def _kind(dtype: Any) -> str:
    return "time" if dtype.is_temporal() else "list" if dtype.is_nested() else str(dtype).lower()


def _reasons(tally: Tally) -> tuple[Aside, ...]:
    """Why rows were set aside, the commonest reason first."""
    import polars as pl

    told = by_reason(pl.concat(tally.set_aside)) if tally.set_aside else ()
    return tuple(Aside(column=c, reason=why, rows=n, first=first) for c, why, n, first in told)
