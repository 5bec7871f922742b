"""A user's own columns onto the contract's."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from schemas.batches import PROBLEM, ROW, Reading
from schemas.config import composed
from schemas.errors import DataError, UsageError, closest
from schemas.tables import CATEGORIES, EVENT, ITEM_ID, KIND, SEQUENCE, TIMESTAMP, WEIGHT, Column, Table
from tasks.sources._records import FIELD
from tasks.sources._signs import check_signs, unsigned
from tasks.sources._tables_config import TableConfig
from tasks.sources._written_lists import check_parted, read_lists

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONAL = (EVENT, KIND, WEIGHT, SEQUENCE)  # ingest has a value for these where a source has none
_ONE_FOR_ALL = {ITEM_ID: "everything", TIMESTAMP: "2025-01-31"}
"""What may be the same in all rows, where a source has none, with an example."""
_OURS = ("__row", "__problem", "__origin", "__key", "__index", "__at", "__number", "__rule")  # columns on the way


@dataclass(frozen=True)
class Mapping:
    """Own name -> contract's name of the columns to read, in the contract's order; then what else is known of them.

    Attributes:
        names: Those that are one column of the contract each.
        numeric: Which are numbers, by the contract's names.
        key: Which are unique together.
        joined: Contract's name of an id -> the own columns that are its parts, in order.
    """

    names: dict[str, str]
    numeric: tuple[str, ...]
    key: tuple[str, ...]
    joined: dict[str, tuple[str, ...]]

    def told(self, reading: Reading, available: Sequence[str]) -> Reading:
        """The reading with what is known of the columns."""
        joined = ((name, " and ".join(parts)) for name, parts in self.joined.items())
        named = (*((ours, own) for own, ours in self.names.items()), *joined)
        read = {*self.wanted, *(own.partition(FIELD)[0] for own in self.wanted)}
        unread = tuple(own for own in available if own not in read)
        columns = {"numeric": self.numeric, "key": self.key, "joined": tuple(self.joined)}
        return replace(reading, named=named, unread=unread, **columns)  # type: ignore[arg-type]

    @property
    def wanted(self) -> tuple[str, ...]:
        """All columns to read, by their own names."""
        return tuple(dict.fromkeys((*self.names, *(own for parts in self.joined.values() for own in parts))))


def nearest(name: str, available: Sequence[str]) -> str:
    """A hint at the available column that a missing one may mean."""
    near = closest(name, available)
    listed = ", ".join(available[:12]) + (", ..." if len(available) > 12 else "")
    return (f"; did you mean {near!r}?" if near else ".") + f" It has {listed or 'no columns'}"


def check_header(names: Sequence[str], origin: str) -> None:
    """DataError where a column name stands twice; columns without a name are none."""
    twice = sorted({name for name in names if name and list(names).count(name) > 1})
    if twice:
        raise DataError(f"{origin}: the column {twice[0]!r} stands more than once in the header; rename one")


def map_columns(table: Table, config: TableConfig, available: Sequence[str], origin: str) -> Mapping:
    """Which columns to read and what to call them.

    Raises:
        UsageError: the config names a column that the contract does not know.
        DataError: a needed column is not there; the message names the nearest one.
    """
    check_header(available, origin)
    for name in (*config.columns, *config.defaults):
        if name not in table.names and not table.open:
            raise UsageError(f"{table.name} has no column {name!r}; it has {', '.join(table.names)}")
    names: dict[str, str] = {}
    spoken_for = _spoken_for(table, config)
    for column in table.columns:
        if column.name in config.joined:
            for own in config.joined[column.name]:
                _check_there(own, f" for {table.name}.{column.name}", available, origin)
            continue
        own = config.own(column.name)[0]
        if own in available and (column.name in config.columns or own not in spoken_for):
            names[own] = column.name
        elif column.name in config.columns or not (
            column.nullable or column.name in config.defaults or column.name in OPTIONAL
        ):
            where = f"{origin}: no column {own!r} for {table.name}.{column.name}{nearest(own, available)}"
            raise DataError(f"{where}. {_remedy(column)}")
    _add_open(table, config, available, origin, names)
    for own in config.key:
        _check_there(own, ", which is declared a key", available, origin)
        _add(own, own, origin, names)
    for own in config.fill_down:
        _check_there(own, ", which fill_down names", available, origin)
    for own in config.units:
        _check_there(own, ", which units names", available, origin)
    signed = (own for own, sign in config.units.items() if sign)
    numeric = tuple(names[own] for own in dict.fromkeys((*config.numeric, *signed)) if own in names)
    if config.wide:
        _check_there(config.wide, ", which is declared wide", list(names), origin)
    return Mapping(names, numeric, tuple(names[own] for own in config.key), config.joined)


def _check_there(own: str, what: str, available: Sequence[str], origin: str) -> None:
    """DataError where a column that the config names is not there."""
    if own not in available:
        raise DataError(f"{origin}: no column {own!r}{what}{nearest(own, available)}")


def _remedy(column: Column) -> str:
    """How a config says which column is meant, or that there is none."""
    said = f"Say which it is: columns: {{{column.name}: its name}}"
    if column.name not in _ONE_FOR_ALL:
        return said
    return f"{said}; or, if there is none, one for all rows: defaults: {{{column.name}: {_ONE_FOR_ALL[column.name]}}}"


def _add_open(table: Table, config: TableConfig, available: Sequence[str], origin: str, names: dict[str, str]) -> None:
    """Adds the further columns of users and items."""
    if not table.open:
        return
    renamed = _spoken_for(table, config)
    parts = {own for several in config.joined.values() for own in several}
    for own in filter(_tells, available) if config.attributes is None else config.attributes:
        if own not in available:
            raise DataError(f"{origin}: no column {own!r}, which attributes names{nearest(own, available)}")
        name = renamed.get(own, own)
        if config.attributes is not None or (name not in names.values() and own not in parts):
            _add(own, name, origin, names)


def _tells(own: str) -> bool:
    """Whether a column may say something: one without a name, or with the row numbers of pandas, does not."""
    return re.fullmatch(r"\s*|__index_level_\d+__|Unnamed: \d+(_level_\d+)?", own) is None


def _add(own: str, name: str, origin: str, names: dict[str, str]) -> None:
    """Adds a column, unless it is there already.

    Raises:
        DataError: another column is called so already, or the name is one of ours.
    """
    if own in _OURS:
        raise DataError(f"{origin}: the column name {own!r} is reserved; rename it, or list the others in attributes")
    if own not in names and name in names.values():
        other = next(theirs for theirs, ours in names.items() if ours == name)
        raise DataError(f"{origin}: both {own!r} and {other!r} would be called {name}; rename one of them")
    names.setdefault(own, name)


def _spoken_for(table: Table, config: TableConfig) -> dict[str, str]:
    """Own column -> the contract's column that the config maps it onto; no other column takes it by its name.

    Raises:
        UsageError: one column is mapped onto two.
    """
    taken: dict[str, str] = {}
    for name in config.columns:
        if name in config.joined:
            continue
        own = config.own(name)[0]
        if taken.setdefault(own, name) != name:
            raise UsageError(f"{table.name}.columns: {own!r} is mapped onto {taken[own]} and {name}; map it onto one")
    return taken


def apply(batch: "pa.RecordBatch", mapping: Mapping, config: TableConfig) -> "pa.RecordBatch":
    """The batch under the contract's names, with defaults, renamed events and split categories."""
    import pyarrow as pa

    columns: dict[str, pa.Array] = {}
    for own, array in zip(batch.schema.names, batch.columns, strict=True):
        name = mapping.names.get(own, own)
        if own in mapping.names or own in (ROW, PROBLEM):
            columns[name] = _value(_decoded(array), name, own, config)
    for name, parts in mapping.joined.items():
        columns[name] = pa.StructArray.from_arrays([_decoded(batch[own]) for own in parts], names=list(parts))
    for name, value in config.defaults.items():
        if name not in columns:
            columns[name] = pa.repeat(pa.scalar(value), len(batch))
    return pa.RecordBatch.from_pydict(columns)


def _decoded(array: "pa.Array") -> "pa.Array":
    """Bytes as text, if all of them are UTF-8; else as they are, for the row rules to judge one by one."""
    import pyarrow as pa

    if not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
        return array
    try:
        return array.cast(pa.large_string() if pa.types.is_large_binary(array.type) else pa.string())
    except pa.ArrowInvalid:
        return array


def look_within(batch: "pa.RecordBatch", mapping: Mapping, table: Table, config: TableConfig, origin: str) -> None:
    """Looks at the first rows for what their columns do not say by themselves.

    Raises:
        DataError: an option is missing.
    """
    for own, name in mapping.names.items():
        array = _decoded(batch[own]) if own in batch.schema.names else None
        if array is None or not _is_text(array):
            continue
        if name == CATEGORIES and "separator" not in config.model_fields_set:
            check_parted(array, config.separator, f"{origin}: {own}")
        if name not in table.names:
            check_signs(array, own, config, origin)


def _is_text(array: "pa.Array") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(array.type) or pa.types.is_large_string(array.type))


def _value(array: "pa.Array", name: str, own: str, config: TableConfig) -> "pa.Array":
    """Renames events, splits categories, and takes signs off numbers."""
    import pyarrow as pa
    from pyarrow import compute

    text = _is_text(array)
    if text and config.units.get(own):
        return unsigned(array, config.units[own])
    if name == CATEGORIES and text:
        return read_lists(array, config.separator)
    if name == EVENT and text and config.event_names:
        names = {own: config.event_names.get(composed(own)) for own in compute.unique(array.drop_null()).to_pylist()}
        new = compute.index_in(array, pa.array(list(names), array.type))
        return compute.coalesce(pa.array(list(names.values()), array.type).take(new), array)
    return array
