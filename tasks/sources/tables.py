"""A user's own tables: CSV, Parquet or JSON Lines, one file or many, local or remote, and SQL queries.

Columns are mapped by name onto the contract; values stay as they are until the row rules of ingest judge them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from schemas.batches import PROBLEM, ROW, Reading
from schemas.config import Section
from schemas.errors import DataError, UsageError
from schemas.secrets import no_secrets
from schemas.tables import INPUTS, Table
from tasks.sources import _csv, _jsonl, _parquet, _records, _sql, _wide
from tasks.sources._above import filled
from tasks.sources._mapping import OPTIONAL, apply, look_within, map_columns
from tasks.sources._places import Place, find, grown_from, stamp
from tasks.sources._tables_config import TableConfig, Zone

if TYPE_CHECKING:
    import pyarrow as pa

INCREMENTAL = True


class Config(Section):
    """Your own tables; at least one of users: events, texts, users or edges."""

    kind: Literal["tables"] = "tables"
    root: str = Field(
        ".",
        description="folder that local paths are relative to and must not leave; itself relative to the config file",
    )
    time_zone: Zone = Field("UTC", description="IANA zone of times without one, such as Asia/Shanghai")
    storage: Annotated[dict[str, str], AfterValidator(no_secrets)] = Field(
        default_factory=dict, description="options of a remote file system; secrets as ${NAME of a variable}"
    )
    events: TableConfig | None = Field(None, description="what users did")
    users: TableConfig | None = Field(None, description="who they are")
    items: TableConfig | None = Field(None, description="what they did it with")
    texts: TableConfig | None = Field(None, description="what they wrote")
    edges: TableConfig | None = Field(None, description="whom they know")


def _given(config: Config) -> dict[str, TableConfig]:
    """The tables that the config names.

    Raises:
        UsageError: none, or one with neither path nor query (or both).
    """
    given = {name: getattr(config, name) for name in INPUTS if getattr(config, name) is not None}
    if not given.keys() - {"items"}:
        raise UsageError("source tables: give events, texts, users or edges, at least")
    for name, table in given.items():
        if bool(table.path) == bool(table.sql):
            raise UsageError(f"source tables: {name} needs either path or sql")
    return given


def snapshot(config: Config) -> dict[str, str]:
    """Size, modification and end of every file; row count and high-water mark of every query."""
    found = _files(config)
    with _sql.Transaction() as within:
        for name, table in _given(config).items():
            if table.sql:
                found.update(_sql.stamp(table, name, within))
    return found


def _files(config: Config) -> dict[str, str]:
    """The stamp of every file."""
    given = {name: table for name, table in _given(config).items() if not table.sql}
    return {
        f"{name}/{place.name}": stamp(place)
        for name, table in given.items()
        for place in find(table.path, config.root, config.storage)
    }


def look(config: Config) -> None:
    """Looks at the head of every file and at every query's columns, and reads no rows.

    Raises:
        DataError: a file is empty, damaged, in another encoding or with another delimiter, or lacks a column.
        UsageError: the config names columns that the contract does not have.
    """
    for name, table in _given(config).items():
        if table.sql:
            with _sql.Transaction() as within:
                map_columns(INPUTS[name], table, _sql.header(table, name, within), f"sql:{name}")
            continue
        for place in find(table.path, config.root, config.storage):
            form = _form(place, table)
            if form != "jsonl":  # any line may bring columns of its own
                map_columns(INPUTS[name], table, _header(place, table, form, INPUTS[name]), place.name)


def _form(place: Place, own: TableConfig) -> str:
    return place.format if own.format == "auto" else own.format


def _header(place: Place, own: TableConfig, form: str, table: Table) -> list[str]:
    needed = {one for name in table.required if name not in (*OPTIONAL, *own.defaults) for one in own.own(name)}
    return _csv.header(place, own, sorted(needed)) if form == "csv" else _parquet.header(place, own.paths)


def grown(config: Config, since: Mapping[str, str]) -> bool:
    """Whether everything without a key that was there at `since` still is: data was only added.

    Where it is False, `read(config, since)` would count rows twice; read everything again.
    """
    now = _files(config)
    for name, table in _given(config).items():
        if INPUTS[name].key:
            continue
        if _outside(table, INPUTS[name]):
            return False
        if table.sql:
            with _sql.Transaction() as within:
                if not (table.since_column and f"mark:{name}" in since and _sql.kept(table, name, since, within)):
                    return False
            continue
        places = {f"{name}/{p.name}": p for p in find(table.path, config.root, config.storage)}
        for part, earlier in since.items():
            if part.startswith(f"{name}/") and now.get(part) != earlier and not _longer(places.get(part), earlier):
                return False
    return True


def _outside(own: TableConfig, table: Table) -> bool:
    """Whether rows cannot be read without those before: of a declared key, the contract may not keep the columns."""
    if own.fill_down:
        return True
    renamed = {theirs: ours for ours in own.columns for theirs in own.own(ours)}
    return any(renamed.get(name, name) not in table.names for name in own.key)


def _longer(place: Place | None, earlier: str) -> bool:
    return place is not None and grown_from(place, earlier) is not None


class Read(dict[str, "Iterator[pa.RecordBatch]"]):
    """Batches of each table; its queries are all of one moment."""

    def __init__(self, config: Config, since: Mapping[str, str] | None) -> None:
        self._config, self._within, self._seen = config, _sql.Transaction(), dict[str, str]()
        given = _given(config)
        self._queries = {name for name, table in given.items() if table.sql}
        super().__init__(
            (name, (self._query if table.sql else _files_of)(config, name, None if INPUTS[name].key else since))
            for name, table in given.items()
        )

    def snapshot(self) -> dict[str, str]:
        """The source's snapshot after everything was read; of the queries that of the moment that was read."""
        return _files(self._config) | self._seen

    def _query(self, config: Config, name: str, since: Mapping[str, str] | None) -> "Iterator[pa.RecordBatch]":
        own, rows = getattr(config, name), 0
        try:
            names = _sql.header(own, name, self._within)
            reading = replace(_reading(config, own), origin=f"sql:{name}")
            for batch in _mapped(_sql.batches(own, name, since, self._within), INPUTS[name], own, names, reading):
                rows += len(batch)
                yield batch
            self._seen |= _sql.stamp(own, name, self._within, None if since else rows)
        finally:
            self._queries.discard(name)
            if not self._queries:
                self._within.end()


def read(config: Config, since: Mapping[str, str] | None = None) -> Read:
    """Batches of each table, to be read one table after the other.

    Args:
        config: The tables.
        since: An earlier snapshot: of tables without a key only new files, new ends of grown files and rows beyond the
            high-water mark are read. Tables with a key (users, items) are always read whole.
    """
    return Read(config, since)


def _reading(config: Config, own: TableConfig) -> Reading:
    zone = own.time_zone or config.time_zone
    return Reading(time_zone=zone, time_format=own.time_format, decimal=own.decimal, thousands=own.thousands)


def _files_of(config: Config, name: str, since: Mapping[str, str] | None) -> "Iterator[pa.RecordBatch]":
    """One table's files, one after the other."""
    table, own = INPUTS[name], getattr(config, name)
    reading = _reading(config, own)
    for place in find(own.path, config.root, config.storage):
        earlier = (since or {}).get(f"{name}/{place.name}")
        if earlier is None:
            yield from _file(place, table, own, reading, 0)
        elif earlier != stamp(place):
            yield from _rest(place, table, own, reading, earlier)


def _rest(place: Place, table: Table, own: TableConfig, reading: Reading, earlier: str) -> "Iterator[pa.RecordBatch]":
    """What a file gained since an earlier stamp.

    Raises:
        DataError: it was rewritten rather than added to.
    """
    offset = grown_from(place, earlier)
    if offset is None or _form(place, own) == "parquet":
        raise DataError(f"{place.name} was rewritten since the last run, not added to; ingest everything again")
    yield from _file(place, table, own, reading, offset)


def _file(place: Place, table: Table, own: TableConfig, reading: Reading, offset: int) -> "Iterator[pa.RecordBatch]":
    """One file from a byte on; row numbers count from there, and the origin says so."""
    reading = replace(reading, origin=f"{place.name}@{offset}" if offset else place.name)
    form = _form(place, own)
    if form == "jsonl":
        yield from _mapped(_jsonl.batches(place, own.encoding, offset, own.ids(), own.paths), table, own, None, reading)
        return
    names = _header(place, own, form, table)
    wanted = list(map_columns(table, own, names, place.name).wanted)
    if form == "csv":
        rows = _wide.batches(place, own, offset) if own.ragged else _csv.batches(place, own, names, wanted, offset)
        rows = filled(rows, own.fill_down) if own.fill_down else rows
    else:
        rows = _parquet.batches(place, wanted)
    yield from _mapped(rows, table, own, names, reading)


def _mapped(
    rows: "Iterator[pa.RecordBatch]", table: Table, own: TableConfig, names: list[str] | None, reading: Reading
) -> "Iterator[pa.RecordBatch]":
    """Batches under the contract's names, marked with where they stand.

    `names=None`: any row may bring columns of its own, so one that the config names may still come, and the rest is
    asked for at the end.
    """
    import pyarrow as pa

    first, seen = 1, list(names or ())
    for batch in rows:
        last = first + len(batch)
        if own.wide in batch.schema.names:
            batch = _wide.one_each(batch, own, first, reading.origin)
        inner = [name for name in batch.schema.names if name not in (ROW, PROBLEM)]
        if not inner and not seen:
            raise DataError(f"{reading.origin}: none of its first {len(batch)} lines is a JSON object")
        seen += [] if names is not None else _fresh(inner, seen, table, own, replace(reading, first_row=first))
        named = seen if names is not None else _hoped_for(table, own, seen)
        try:
            mapping = map_columns(table, own, named, reading.origin)
        except DataError as error:
            raise DataError(f"{error}{_records.told(batch)}") from None
        if first == 1:
            look_within(batch, mapping, table, own, reading.origin)
        chosen = {name: batch[name] if name in inner else pa.nulls(len(batch)) for name in mapping.wanted}
        marks = {name: batch[name] for name in (ROW, PROBLEM) if name in batch.schema.names}
        done = apply(pa.RecordBatch.from_pydict({**chosen, **marks}), mapping, own)
        told = replace(mapping.told(reading, named if names is not None else inner), first_row=first)
        yield told.mark(done)
        first = last
    if first > 1:
        map_columns(table, own, seen, reading.origin)


def _fresh(inner: list[str], seen: list[str], table: Table, own: TableConfig, reading: Reading) -> list[str]:
    """Columns that no row before had.

    Raises:
        DataError: one that stands in for a default which those rows have got by now.
    """
    new = [name for name in inner if name not in seen]
    late = [name for name in OPTIONAL if name in table.names and name not in own.columns and name in new]
    if late and seen:
        raise DataError(
            f"{reading.origin}: no row before row {reading.first_row} has {late[0]!r}; name it in the source's "
            "columns, and rows without it are set aside"
        )
    return new


def _hoped_for(table: Table, own: TableConfig, seen: list[str]) -> list[str]:
    """The columns seen, then those that the config names and that rows may lack."""
    needed = {one for name in table.required if name not in OPTIONAL for one in own.own(name)}
    renamed = (one for name in own.columns for one in own.own(name))
    named = (*renamed, *(own.attributes or ()), *own.key)
    return list(dict.fromkeys((*seen, *(name for name in named if name not in needed))))
