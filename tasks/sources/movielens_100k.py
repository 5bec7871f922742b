"""MovieLens-100K: 943 users, 1,682 films with genres, 100,000 timestamped ratings.

It is read in place from the package recbole. GroupLens' terms: research, non-commercial, not redistributed.
F. M. Harper and J. A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5 (4), 2015.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from schemas.batches import Reading
from schemas.config import Section
from schemas.tables import CATEGORIES, EVENT, ITEM_ID, TIMESTAMP, TITLE, USER_ID, VALUE
from tasks.sources._packages import packaged, stamps

if TYPE_CHECKING:
    import pyarrow as pa

INCREMENTAL = False

_FILES = {"events": "ml-100k.inter", "users": "ml-100k.user", "items": "ml-100k.item"}
_NAMES = {
    "events": (USER_ID, ITEM_ID, VALUE, TIMESTAMP),
    "users": (USER_ID, "age", "gender", "occupation", "zip_code"),
    "items": (ITEM_ID, TITLE, "release_year", CATEGORIES),
}
_NUMERIC = {"events": (), "users": ("age",), "items": ("release_year",)}


class Config(Section):
    """MovieLens-100K from the package recbole; nothing needs to be set."""

    kind: Literal["movielens_100k"] = "movielens_100k"
    parts: tuple[Literal["events", "users", "items"], ...] = Field(
        ("events", "users", "items"), description="tables to read; leave users or items out to do without them"
    )


def _paths(config: Config) -> dict[str, Path]:
    return {part: packaged("recbole", "1.2.1", f"dataset_example/ml-100k/{_FILES[part]}") for part in config.parts}


def snapshot(config: Config) -> dict[str, str]:
    """Size and time of modification of each file that would be read."""
    return stamps(_paths(config))


def read(config: Config, since: Mapping[str, str] | None = None) -> "dict[str, Iterator[pa.RecordBatch]]":
    """Ratings as events called `rating` whose value is the stars; genres as categories.

    Args:
        config: What to read.
        since: Ignored: the data set never changes.
    """
    return {part: _batches(part, path) for part, path in _paths(config).items()}


def _batches(part: str, path: Path) -> "Iterator[pa.RecordBatch]":
    """One tab-separated file, its header of `name:type` replaced by the contract's names."""
    import pyarrow as pa
    from pyarrow import compute, csv

    names = list(_NAMES[part])
    text: dict[str, Any] = {name: pa.string() for name in names}
    table = csv.read_csv(
        path,
        read_options=csv.ReadOptions(column_names=names, skip_rows=1),
        parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
        convert_options=csv.ConvertOptions(column_types=text, strings_can_be_null=True, null_values=[""]),
    )
    if part == "items":
        table = table.set_column(3, CATEGORIES, compute.split_pattern(table[CATEGORIES], " "))
        table = table.set_column(2, "release_year", _years(table["release_year"]))
    if part == "events":
        table = table.append_column(EVENT, pa.array(["rating"] * len(table)))
    first = 1
    for batch in table.combine_chunks().to_batches():
        yield Reading(origin=path.name, first_row=first, numeric=_NUMERIC[part]).mark(batch)
        first += len(batch)


def _years(texts: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Years as text, null where the film has none (its title is unknown and stands here too)."""
    from pyarrow import compute

    known = compute.match_substring_regex(texts, r"^\d{4}$")
    return compute.if_else(known, texts, None)
