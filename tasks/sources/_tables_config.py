"""How a user describes one table of their own."""

from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, model_validator

from schemas.config import Section, Word
from schemas.errors import did_you_mean
from schemas.secrets import no_secret
from schemas.tables import IDS
from tasks.sources._delimiters import BLANKS
from tasks.sources._records import FIELD


def _known(zone: str) -> str:
    """The zone, if there is one of this name.

    Raises:
        ValueError: there is none; pydantic makes it a message about the key.
    """
    import polars as pl

    try:
        pl.Series([0], dtype=pl.Datetime("us", zone))
    except pl.exceptions.PolarsError:
        near = did_you_mean(zone, sorted(available_timezones()), "give one such as Asia/Shanghai or UTC")
        raise ValueError(f"there is no time zone {zone!r}; {near}") from None
    return zone


Zone = Annotated[str, AfterValidator(_known)]
"""An IANA time zone."""


def _without_secrets(paths: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """The paths, if no secret stands in one in clear."""
    for path in (paths,) if isinstance(paths, str) else paths:
        no_secret(path)
    return paths


class TableConfig(Section):
    """One table: where it lies, and how its columns become the contract's."""

    path: Annotated[str | tuple[str, ...], AfterValidator(_without_secrets)] = Field(
        (), description="file, glob or list of them, below the root; or an address such as s3://bucket/key"
    )
    sql: str | None = Field(None, description="query, instead of a path; it needs url")
    url: Annotated[str, AfterValidator(no_secret)] | None = Field(
        None, description="SQLAlchemy address of the database; write the password as ${NAME of an environment variable}"
    )
    format: Literal["auto", "csv", "parquet", "jsonl"] = Field("auto", description="auto: by the file's ending")
    columns: dict[str, str | Annotated[tuple[str, ...], Field(min_length=2)]] = Field(
        default_factory=dict,
        description="fenqun's column -> yours; columns of the same name need no entry. An id may be several of yours, "
        "such as user_id: [shop, customer], which become shop/customer; a row that lacks one of them has none. A "
        "field of a record, in JSON Lines and Parquet, is record.field",
    )
    attributes: tuple[str, ...] | None = Field(
        None, description="users and items: further columns to take, by your names; empty: all"
    )
    numeric: tuple[str, ...] = Field((), description="further columns that are numbers, by your names")
    defaults: dict[str, str] = Field(
        default_factory=dict, description="fenqun's column -> one value for all rows, such as event: buy"
    )
    event_names: dict[Word, str] = Field(default_factory=dict, description="your event name -> the one to use")
    key: tuple[str, ...] = Field(
        (), description="your columns that are unique together for a user; repeats are then removed"
    )
    time_format: str | None = Field(
        None,
        description="s, ms, us, ns since 1970, excel (days since 1899-12-30), or a pattern such as %d.%m.%Y %H:%M; "
        "none: ISO 8601 or seconds",
    )
    time_zone: Zone | None = Field(None, description="IANA zone of times without one; none: the source's")
    delimiter: str = Field(
        ",",
        pattern=rf"^([\x01-\x09\x0b\x0c\x0e-!#-~]|[!#-/:-@\[-`{{-~]{{2,8}}|{BLANKS})$",
        description="CSV: what stands between two columns: one ASCII character, several signs such as ::, or `blanks`: "
        "any number of spaces and tabs",
    )
    comment: str = Field(
        "",
        pattern=r"^[!#$%&*/;>-]{0,4}$",
        description="CSV: lines that begin with this are no rows, such as #; in a cell that runs over lines neither",
    )
    quote: str = Field(
        '"',
        pattern=r"^[!-~]?$",
        description="CSV: what stands round a cell that holds the delimiter; empty: nothing does",
    )
    encoding: str = Field("utf-8", description="CSV and JSON Lines: encoding, such as gb18030 or latin-1")
    header: tuple[str, ...] | None = Field(None, description="CSV without a header: its column names, in order")
    fill_down: tuple[str, ...] = Field(
        (),
        description="CSV: your columns in which an empty cell means the value above it, as on the further lines of an "
        "order",
    )
    wide: str | None = Field(
        None,
        description="your column with several values in each row, of which every one makes a row, in order: a list, "
        "or a text parted by `separator`; where `header` is given without it, all cells beyond those of `header`",
    )
    skip_lines: int = Field(0, ge=0, description="CSV: lines before the header, such as the title of a report")
    nulls: tuple[str, ...] = Field((), description="CSV: words that mean an empty value, as an empty cell always does")
    decimal: Literal[".", ","] = Field(".", description="what stands between a number and its fraction in texts")
    thousands: Literal["", ".", ",", " ", "'"] = Field("", description="what may stand between thousands in texts")
    units: dict[str, str] = Field(
        default_factory=dict,
        description="your column of numbers with a sign -> the sign, which is taken off: price: $, or share: '%' (then "
        "70% is 70); empty: what stands there is text",
    )
    separator: str = Field(
        "|", min_length=1, description="what stands between two categories of an item, or two values of `wide`"
    )
    since_column: str | None = Field(
        None, description="SQL: your column that only grows; later runs read only rows beyond its last value"
    )

    @model_validator(mode="after")
    def _ids_alone_are_joined(self) -> Self:
        for name in self.joined:
            if name not in IDS:
                raise ValueError(f"columns: {name} is no id; only an id may be several of your columns")
        return self

    @property
    def joined(self) -> dict[str, tuple[str, ...]]:
        """Fenqun's ids that are several columns -> those columns."""
        return {name: own for name, own in self.columns.items() if not isinstance(own, str)}

    def own(self, name: str) -> tuple[str, ...]:
        """The user's columns that are fenqun's column of this name."""
        own = self.columns.get(name, name)
        return (own,) if isinstance(own, str) else own

    def ids(self) -> set[str]:
        """The user's columns that are ids, or parts of one, in each row."""
        return {own for name in IDS for own in self.own(name)} - {self.wide}

    @property
    def paths(self) -> tuple[str, ...]:
        """The user's columns that may be fields of records."""
        named = (*(one for name in self.columns for one in self.own(name)), *(self.attributes or ()), *self.key)
        return tuple(dict.fromkeys(name for name in (*named, self.wide or "") if FIELD in name))

    @property
    def ragged(self) -> bool:
        """Whether the values of the wide column are all cells beyond the header."""
        return self.wide is not None and self.header is not None and self.wide not in self.header

    @model_validator(mode="after")
    def _two_signs(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are the same sign, {self.decimal!r}")
        return self
