"""One batch of a source's rows on its way in: counted, numbered, and in the columns of the batches before it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.batches import Reading
from schemas.config import IngestConfig
from schemas.errors import DataError
from schemas.tables import REASON, SEQUENCE, Table
from tasks.cleaning.reasons import Reason, by_reason
from tasks.cleaning.rows import Cleaned
from tasks.ingestion.finish import ORIGIN

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

_DIRT = 200  # so many numbers with a point for one with a comma make the latter a fault of its own
_KINDS = {"String": "text", "Float64": "a number"}


@dataclass
class Tally:
    """What the first pass has seen of one table."""

    read: int = 0
    sequence: int = 0
    key: tuple[str, ...] = ()
    origins: dict[str, int] = field(default_factory=dict)
    decoded: dict[str, int] = field(default_factory=dict)
    doubtful: Counter[str] = field(default_factory=Counter)
    set_aside: "list[pl.DataFrame]" = field(default_factory=list)
    schema: "dict[str, pl.DataType] | None" = None


def admit(batch: "pa.RecordBatch", reading: Reading, tally: Tally, config: IngestConfig) -> "pl.DataFrame":
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


def check_decimals(tally: Tally) -> None:
    """DataError where a column holds 99,50 beside 1.250: in one of them the sign before the fraction is another.

    Without the former the latter is 1.25; with them it is 1,250, and nothing else would tell. A comma or two among
    thousands of points are faults of their own rows.
    """
    import polars as pl

    if not (tally.set_aside and tally.doubtful.total()):
        return
    commas = pl.concat(frame.filter(pl.col(REASON) == str(Reason.COMMA)) for frame in tally.set_aside)
    for column, _, rows, first in by_reason(commas):
        points = tally.doubtful[str(column)]
        if rows * _DIRT > points > 0:
            raise DataError(
                f"column {column} has numbers such as 9,99 ({rows} of them, the first: {first}) beside such as 1.250 "
                f"({points} of them): the comma and the point cannot both stand before a fraction; set the source's "
                "decimal and thousands"
            )


def numbered(frame: "pl.DataFrame", table: Table, tally: Tally) -> "pl.DataFrame":
    """The frame with the table's running row numbers, unless the source brings its own."""
    import polars as pl

    start = tally.sequence + 1
    tally.read += len(frame)
    tally.sequence += len(frame)
    if SEQUENCE in frame.columns or SEQUENCE not in table.names:
        return frame
    return frame.with_columns(pl.int_range(start, start + len(frame), dtype=pl.Int64).alias(SEQUENCE))


def shaped(done: Cleaned, reading: Reading, tally: Tally, tracked: bool) -> "pl.DataFrame":
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
