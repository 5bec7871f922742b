"""How a user describes one table of their own."""

from difflib import get_close_matches
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field

from schemas.config import Section


def _known(zone: str) -> str:
    """The zone, if there is one of this name.

    Raises:
        ValueError: there is none; pydantic makes it a message about the key.
    """
    import polars as pl

    try:
        pl.Series([0], dtype=pl.Datetime("us", zone))
    except pl.exceptions.PolarsError:
        near = get_close_matches(zone, available_timezones(), 1)
        hint = f"did you mean {near[0]}?" if near else "give one such as Asia/Shanghai or UTC"
        raise ValueError(f"there is no time zone {zone!r}; {hint}") from None
    return zone


Zone = Annotated[str, AfterValidator(_known)]
"""An IANA time zone."""


class TableConfig(Section):
    """One table: where it lies, and how its columns become the contract's."""

    path: str | tuple[str, ...] = Field(
        (), description="file, glob or list of them, below the root; or an address such as s3://bucket/key"
    )
    sql: str | None = Field(None, description="query, instead of a path; it needs url")
    url: str | None = Field(
        None, description="SQLAlchemy address of the database; write the password as ${NAME of an environment variable}"
    )
    format: Literal["auto", "csv", "parquet", "jsonl"] = Field("auto", description="auto: by the file's ending")
    columns: dict[str, str] = Field(
        default_factory=dict, description="fenqun's column -> yours; columns of the same name need no entry"
    )
    attributes: tuple[str, ...] | None = Field(
        None, description="users and items: further columns to take, by your names; empty: all"
    )
    numeric: tuple[str, ...] = Field((), description="further columns that are numbers, by your names")
    defaults: dict[str, str] = Field(
        default_factory=dict, description="fenqun's column -> one value for all rows, such as event: buy"
    )
    event_names: dict[str, str] = Field(default_factory=dict, description="your event name -> the one to use")
    key: tuple[str, ...] = Field(
        (), description="your columns that are unique together for a user; repeats are then removed"
    )
    time_format: str | None = Field(
        None, description="s, ms, us, ns since 1970, or a pattern such as %d.%m.%Y %H:%M; none: ISO 8601 or seconds"
    )
    time_zone: Zone | None = Field(None, description="IANA zone of times without one; none: the source's")
    delimiter: str = Field(
        ",", pattern=r"^[\x01-\x09\x0b\x0c\x0e-!#-~]$",
        description="CSV: what stands between two columns, one ASCII character",
    )  # fmt: skip
    quote: str = Field(
        '"',
        pattern=r"^[!-~]?$",
        description="CSV: what stands round a cell that holds the delimiter; empty: nothing does",
    )
    encoding: str = Field("utf-8", description="CSV and JSON Lines: encoding, such as gb18030 or latin-1")
    header: tuple[str, ...] | None = Field(None, description="CSV without a header: its column names, in order")
    nulls: tuple[str, ...] = Field(("",), description="CSV: words that mean an empty value")
    separator: str = Field("|", min_length=1, description="what stands between two categories of an item")
    since_column: str | None = Field(
        None, description="SQL: your column that only grows; later runs read only rows beyond its last value"
    )
