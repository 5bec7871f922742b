"""Why rows are set aside: the words that the quarantine and the report show."""

from enum import StrEnum
from typing import TYPE_CHECKING

from schemas.tables import COLUMN, LOCATOR, REASON

if TYPE_CHECKING:
    import polars as pl


class Reason(StrEnum):
    """Rule that a row broke."""

    EMPTY = "empty where a value is required"
    MISSING = "empty, and the column's policy is quarantine"
    WITH_SIGNS = (
        "a number with other signs, such as a currency; name the sign in the source's units, or set its thousands"
    )
    NOT_NUMBER = "not a number"
    COMMA = "a number with a comma; say by the source's decimal or thousands what it means"
    POINT = "a number with a point, where the source's decimal is another; set thousands if it parts those"
    NOT_FINITE = "NaN or infinite"
    OVERFLOW = "beyond the range of float32"
    NOT_POSITIVE = "not above 0"
    NOT_TIME = "not a timestamp in the declared format"
    AMBIGUOUS_TIME = "a number that looks like a date; declare the timestamp's format"
    SERIAL_DATE = "a number like a spreadsheet's date (days since 1899-12-30); set the source's time_format: excel"
    RELATIVE_TIME = "a number too small for seconds since 1970, as if counted from a start of its own; export dates"
    MILLISECONDS = "a number like milliseconds since 1970; set the source's time_format: ms"
    MICROSECONDS = "a number like microseconds since 1970; set the source's time_format: us"
    NANOSECONDS = "a number like nanoseconds since 1970; set the source's time_format: ns"
    NO_SUCH_TIME = "a local time that the time zone's clock change skips"
    TOO_OLD = "earlier than ingest.earliest_year; time_format may name another unit than the data have"
    FUTURE = "in the future"
    AFTER_AS_OF = "after the moment the run looks at"
    BIG_FLOAT_ID = "a float above 2^53, which has lost digits; export ids as text"
    FRACTION_ID = "a number with a fraction, which is no id"
    EXPONENT_ID = "in scientific notation, which has lost digits; export ids as text"
    NO_ID = "a word for nothing, such as nan or NULL, in place of an id; see ingest.no_ids"
    QUOTED = "an id in quotes, which are no part of it; set the source's quote, or take them out"
    NESTED = "a list or record where one value is required; name a field of it, as record.field, or flatten it"
    LONG_ID = "longer than the 1024 bytes of an id"
    LONG_NAME = "an element of the list is longer than 1024 bytes"
    MANY_NAMES = "a list of more than 1,000 elements"
    LINES = "runs over several lines; a quote may be left open"
    NUL = "holds a NUL character"
    NOT_UTF8 = "not valid UTF-8 (wrong encoding or lone surrogate)"
    TOO_LONG = "text longer than the configured limit"
    NOT_LIST = "not a list of texts"
    OTHER_VALUES = "same key as an earlier row, with other values"
    OUTLIER = "robust z-score above the configured bound"


def by_reason(quarantine: "pl.DataFrame") -> "list[tuple[str | None, str, int, str]]":
    """Column, reason, rows and where the first of them stands, the commonest first, ties by the first row."""
    import polars as pl

    each = quarantine.group_by(COLUMN, REASON, maintain_order=True).agg(pl.len().alias("rows"), pl.col(LOCATOR).first())
    return each.sort("rows", descending=True, maintain_order=True).rows()


def most_of(quarantine: "pl.DataFrame") -> str:
    """Why most rows of a quarantine were set aside, and where the first of those stands; it has at least one row."""
    column, reason, _, first = by_reason(quarantine)[0]
    return f"{f'{column} is ' if column else ''}{reason} (the first: {first})"
