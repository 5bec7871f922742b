"""Counts all tables of a hand-over, bucket by bucket, each one known to the others where they refer to it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from schemas import tables as t
from schemas.config import ValidateConfig
from schemas.errors import DataError
from schemas.facts import Facts
from schemas.reports import Accounting
from tasks.cleaning.reasons import most_of
from tasks.validation.aggregates import merge_all, partial
from tasks.validation.figures import accounted, complete

if TYPE_CHECKING:
    import polars as pl

TABLES: Mapping[str, t.Table] = {
    table.name: table
    for table in (*t.INPUTS.values(), t.USER_FEATURES, t.USER_EMBEDDINGS, t.USER_VECTORS, *t.PUBLISHED.values())
}
_LISTS = {t.ITEMS.name: t.ITEM_ID, t.SEGMENTS.name: t.SEGMENT_ID}
_REFER = {
    t.EVENTS.name: (t.ITEM_ID, t.USER_ID),
    t.TEXTS.name: (t.USER_ID,),
    t.RECOMMENDATIONS.name: (t.ITEM_ID, t.SEGMENT_ID),
    t.USER_RECOMMENDATIONS.name: (t.ITEM_ID,),
    t.ASSIGNMENTS.name: (t.SEGMENT_ID,),
    t.TRANSITIONS.name: (t.SEGMENT_ID,),
}


def scan(
    tables: "Mapping[str, Iterable[pl.DataFrame]]",
    config: ValidateConfig,
    as_of: datetime,
    previous: Mapping[str, Facts],
    accounting: tuple[Accounting, ...] = (),
) -> dict[str, Facts]:
    """Facts per table, with shifts against `previous`.

    Args:
        tables: Table name -> frames (buckets). Items and segments are read first and held: others refer to them.
        config: Window and allowed events.
        as_of: UTC moment the run looks at.
        previous: Facts per table of the previous accepted run.
        accounting: Rows of each table as ingest counted them.

    Raises:
        DataError: a table that the contract does not know.
    """
    import polars as pl

    strange = sorted(tables.keys() - TABLES.keys())
    if strange:
        raise DataError(f"no table is called {', '.join(strange)}; the contract knows {', '.join(TABLES)}")
    held = {name: list(tables[name]) for name in (*_LISTS, t.QUARANTINE.name) if name in tables}
    known = {column: _values(held[name], column) for name, column in _LISTS.items() if name in held}
    users: list[pl.Series] = []
    merged: dict[str, Facts] = {}
    for name, frames in sorted({**tables, **held}.items(), key=lambda one: one[0] != t.USERS.name):
        frames = _noted(frames, users) if name == t.USERS.name else frames
        listed = {column: known[column] for column in _REFER.get(name, ()) if column in known}
        parts = [partial(frame, TABLES[name], config, as_of, listed) for frame in frames]
        merged[name] = merge_all(parts or [partial(_none(TABLES[name]), TABLES[name], config, as_of, listed)])
        if users and name == t.USERS.name:
            known[t.USER_ID] = pl.concat(users)
    if t.QUARANTINE.name in merged:
        merged[t.QUARANTINE.name] = accounted(merged[t.QUARANTINE.name], accounting, _why(held[t.QUARANTINE.name]))
    return {name: complete(merged[name], merged, previous.get(name)) for name in tables}


def _noted(frames: "Iterable[pl.DataFrame]", ids: "list[pl.Series]") -> "Iterator[pl.DataFrame]":
    """The frames of the users, of which the ids alone are held."""
    for frame in frames:
        if t.USER_ID in frame.columns and len(frame):
            ids.append(frame[t.USER_ID].drop_nulls())
        yield frame


def _why(quarantine: "list[pl.DataFrame]") -> dict[str, str]:
    """Table -> why most of its rows were set aside."""
    import polars as pl

    rows = pl.concat(quarantine) if quarantine else pl.DataFrame()
    parts = rows.partition_by(t.TABLE) if len(rows) else []
    return {part[t.TABLE][0]: f"most because {most_of(part)}" for part in parts}


def _none(table: t.Table) -> "pl.DataFrame":
    """The table without a row, for a table that came without a frame."""
    import polars as pl

    return pl.DataFrame(schema=table.polars_schema())


def _values(frames: "list[pl.DataFrame]", column: str) -> "pl.Series":
    import polars as pl

    present = [frame[column].drop_nulls() for frame in frames if column in frame.columns]
    return pl.concat(present).unique() if present else pl.Series(column, [], pl.String)
