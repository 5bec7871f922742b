"""Row rules of ingest: each row is accepted into the contract's dtypes or set aside with the first rule it broke.

Nothing is filled, clipped or scaled here; what is fitted lives in the Segmenter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from schemas.batches import PROBLEM, ROW, Reading
from schemas.config import IngestConfig
from schemas.errors import DataError
from schemas.tables import (
    COLUMN,
    DESCRIPTION,
    EVENT,
    IDS,
    KIND,
    LOCATOR,
    PEOPLE,
    REASON,
    SEQUENCE,
    TEXT,
    TITLE,
    WEIGHT,
    Column,
    Dtype,
    Table,
)
from tasks.cleaning import columns, ids
from tasks.cleaning.reasons import Reason
from tasks.cleaning.timestamps import to_utc

if TYPE_CHECKING:
    import polars as pl

DEFAULTS: Mapping[str, Any] = {EVENT: "event", KIND: "text", WEIGHT: 1.0}
"""What a required column holds where a source has no such column at all."""
_LONG = (TEXT, TITLE, DESCRIPTION)


@dataclass(frozen=True)
class Cleaned:
    """What became of one batch.

    Attributes:
        accepted: Rows in the contract's schema, then the open columns (float64 or text).
        rows: The source's row numbers of the accepted rows, int64.
        set_aside: Locator, column and reason of the others, one line a row; never the values.
        doubtful: Column of numbers -> how many of its texts mean a thousandfold where a point parts thousands.
    """

    accepted: "pl.DataFrame"
    rows: "pl.Series"
    set_aside: "pl.DataFrame"
    doubtful: Mapping[str, int]


def _coerce(
    raw: "pl.Series", column: Column, config: IngestConfig, reading: Reading, as_of: datetime | None, now: datetime
) -> "tuple[pl.Series, columns.Problems]":
    """A raw column in the contract's dtype, and the problems found."""
    if column.dtype == "timestamp":
        text, undecoded = columns.readable(raw)
        values, problems = to_utc(
            text,
            zone=reading.time_zone,
            pattern=reading.time_format,
            earliest_year=config.earliest_year,
            as_of=as_of,
            now=now,
        )
        return values, [*undecoded, *problems]
    if column.dtype == "int64":
        return columns.whole_number(raw)
    if column.dtype == "float64":
        values, problems = columns.number(raw, reading.decimal, reading.thousands)
        return values, [*problems, (values <= 0, Reason.NOT_POSITIVE)] if column.name == WEIGHT else problems
    if column.dtype == "list<string>":
        return columns.names(raw)
    if column.name in reading.joined:
        return ids.joined(raw, config.no_ids)
    if column.name in IDS:
        values, problems = ids.identifier(raw)
        if column.name not in (EVENT, KIND):
            problems.append((ids.no_id(values, config.no_ids), Reason.NO_ID))
        if column.name in PEOPLE:
            problems.append((ids.quoted(values), Reason.QUOTED))
        return values, problems
    values, problems = columns.free_text(raw, config.max_text_bytes)
    if column.name == TEXT:
        problems.append((values.str.contains(r"^\s*$"), Reason.EMPTY))
    return (values if column.name in _LONG else columns.normalise(values)), problems


def _open_columns(batch: "pl.DataFrame", table: Table, reading: Reading) -> tuple[Column, ...]:
    """The batch's further columns: those of a declared key, and all where the table takes them.

    Numbers and spans of time are float64, lists are lists of texts, the rest is text.
    """
    if not table.open:
        return tuple(Column(name, "string") for name in reading.key if name not in table.names)
    extra = [name for name in batch.columns if name not in table.names and name not in (ROW, PROBLEM)]
    return tuple(Column(name, _open_dtype(batch[name], name in reading.numeric), nullable=True) for name in extra)


def _open_dtype(values: "pl.Series", numeric: bool) -> Dtype:
    import polars as pl

    if numeric or values.dtype.is_numeric() or values.dtype == pl.Duration:
        return "float64"
    flat = isinstance(values.dtype, pl.List | pl.Array) and not values.dtype.inner.is_nested()
    return "list<string>" if flat else "string"


def _raw(batch: "pl.DataFrame", column: Column, table: Table, reading: Reading, rows: "pl.Series") -> "pl.Series":
    """The batch's column, or what stands for it where the source has none."""
    import polars as pl

    if column.name in batch.columns:
        return batch[column.name]
    if column.name == SEQUENCE:
        return rows.alias(SEQUENCE)
    if column.nullable or column.name in DEFAULTS:
        default = DEFAULTS.get(column.name) if not column.nullable else None
        typed: dict[str, Any] = {"float64": pl.Float64, "timestamp": pl.Datetime("us", "UTC")}
        dtype = typed.get(column.dtype, pl.String)
        return pl.Series(column.name, [default], dtype=dtype).new_from_index(0, len(batch))
    raise DataError(f"{reading.origin}: no column for {table.name}.{column.name}; map one of yours onto it")


def _problems(
    values: "pl.Series", column: Column, table: Table, config: IngestConfig, found: "columns.Problems"
) -> "columns.Problems":
    """What was found, then the rule on empty values."""
    policy = config.missing.get(f"{table.name}.{column.name}")
    if not column.nullable:
        return [*found, (values.is_null(), Reason.EMPTY)]
    if policy is not None and policy.action == "quarantine":
        return [*found, (values.is_null(), Reason.MISSING)]
    return found


def clean(
    batch: "pl.DataFrame",
    table: Table,
    config: IngestConfig,
    as_of: datetime | None,
    now: datetime,
    reading: Reading | None = None,
) -> Cleaned:
    """Accepts or sets aside each row of a batch.

    Args:
        batch: Columns with the contract's names, values possibly raw. It may hold `ROW` and `PROBLEM`.
        table: The table's contract.
        config: Limits and policies.
        as_of: Nothing after it is accepted; None: nothing after `now`.
        now: The clock.
        reading: Where the batch stands and how it is meant.

    Returns:
        Accepted rows in order and those set aside: together as many as came in.

    Raises:
        DataError: a required column is not there.
    """
    import polars as pl

    reading = reading or Reading()
    rows = batch[ROW] if ROW in batch.columns else pl.int_range(len(batch), eager=True) + reading.first_row
    rows = rows.cast(pl.Int64).alias(ROW)
    series, broken, doubtful = [], _unreadable(batch), {}
    for column in (*table.columns, *_open_columns(batch, table, reading)):
        raw = _raw(batch, column, table, reading, rows)
        values, found = _coerce(raw, column, config, reading, as_of, now)
        series.append(values.alias(column.name))
        if column.dtype == "float64" and reading.decimal == "." and not reading.thousands:
            doubtful[column.name] = columns.like_thousands(raw)
        for mask, reason in _problems(values, column, table, config, found):
            if mask.any():
                broken.append(_mark(mask, column.name, str(reason)))
    frame = pl.DataFrame(series)
    if not broken:
        return Cleaned(frame, rows, _set_aside(reading, None, rows), doubtful)
    marks = pl.concat(broken).unique(subset=_INDEX, keep="first", maintain_order=True).sort(_INDEX)
    good = pl.int_range(len(batch), eager=True, dtype=pl.UInt32).is_in(marks[_INDEX].implode()).not_()
    return Cleaned(frame.filter(good), rows.filter(good), _set_aside(reading, marks, rows), doubtful)


_INDEX = "__index"


def _mark(mask: "pl.Series", column: str, reason: str) -> "pl.DataFrame":
    """Index, column and reason of the rows of a mask."""
    import polars as pl

    index = mask.fill_null(False).arg_true().cast(pl.UInt32).alias(_INDEX)
    return pl.DataFrame([index]).with_columns(pl.lit(column).alias(COLUMN), pl.lit(reason).alias(REASON))


def _unreadable(batch: "pl.DataFrame") -> "list[pl.DataFrame]":
    """Rows that the source itself could not read."""
    import polars as pl

    if PROBLEM not in batch.columns:
        return []
    index = pl.int_range(len(batch), eager=True, dtype=pl.UInt32).alias(_INDEX)
    marks = pl.DataFrame([index, pl.Series(COLUMN, [""]).new_from_index(0, len(batch)), batch[PROBLEM].alias(REASON)])
    return [marks.filter(pl.col(REASON).is_not_null())]


def locators(origin: str, rows: "pl.Series") -> "pl.Series":
    """`origin:row` of each row."""
    import polars as pl

    return pl.select((pl.lit(f"{origin}:") + rows.cast(pl.String)).alias(LOCATOR)).to_series()


def _set_aside(reading: Reading, marks: "pl.DataFrame | None", rows: "pl.Series") -> "pl.DataFrame":
    """The marks with locators in place of indices."""
    import polars as pl

    if marks is None:
        return pl.DataFrame(schema={LOCATOR: pl.String, COLUMN: pl.String, REASON: pl.String})
    where = locators(reading.origin, rows.gather(marks[_INDEX]))
    return marks.select(pl.lit(where).alias(LOCATOR), COLUMN, REASON)
