"""A user's own columns onto the contract's."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from schemas.errors import DataError, UsageError
from schemas.tables import CATEGORIES, EVENT, KIND, SEQUENCE, WEIGHT, Table
from tasks.sources._tables_config import TableConfig

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONAL = (EVENT, KIND, WEIGHT, SEQUENCE)  # ingest has a value for these where a source has none
_OURS = ("__row", "__problem", "__origin", "__key", "__index", "__at", "__number", "__rule")  # columns on the way


@dataclass(frozen=True)
class Mapping:
    """Own name -> contract's name of the columns to read, in the contract's order; then what else is known of them."""

    names: dict[str, str]
    numeric: tuple[str, ...]
    key: tuple[str, ...]


def nearest(name: str, available: Sequence[str]) -> str:
    """A hint at the available column that a missing one may mean."""
    plain = {"".join(c for c in own.casefold() if c.isalnum()): own for own in available}
    near = get_close_matches("".join(c for c in name.casefold() if c.isalnum()), plain, n=1, cutoff=0.6)
    listed = ", ".join(available[:12]) + (", ..." if len(available) > 12 else "")
    return (f"; did you mean {plain[near[0]]!r}?" if near else ".") + f" It has {listed or 'no columns'}"


def check_header(names: Sequence[str], origin: str) -> None:
    """DataError where a column name stands twice or is empty."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
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
        own = config.columns.get(column.name, column.name)
        if own in available and (column.name in config.columns or own not in spoken_for):
            names[own] = column.name
        elif column.name in config.columns or not (
            column.nullable or column.name in config.defaults or column.name in OPTIONAL
        ):
            raise DataError(f"{origin}: no column {own!r} for {table.name}.{column.name}{nearest(own, available)}")
    _add_open(table, config, available, origin, names)
    for own in config.key:
        if own not in available:
            raise DataError(f"{origin}: no column {own!r}, which is declared a key{nearest(own, available)}")
        _add(own, own, origin, names)
    numeric = tuple(names[own] for own in config.numeric if own in names)
    return Mapping(names, numeric, tuple(names[own] for own in config.key))


def _add_open(table: Table, config: TableConfig, available: Sequence[str], origin: str, names: dict[str, str]) -> None:
    """Adds the further columns of users and items."""
    if not table.open:
        return
    renamed = _spoken_for(table, config)
    for own in available if config.attributes is None else config.attributes:
        if own not in available:
            raise DataError(f"{origin}: no column {own!r}, which attributes names{nearest(own, available)}")
        name = renamed.get(own, own)
        if config.attributes is not None or name not in names.values():
            _add(own, name, origin, names)


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
    for name, own in config.columns.items():
        if taken.setdefault(own, name) != name:
            raise UsageError(f"{table.name}.columns: {own!r} is mapped onto {taken[own]} and {name}; map it onto one")
    return taken


def apply(batch: "pa.RecordBatch", mapping: Mapping, config: TableConfig) -> "pa.RecordBatch":
    """The batch under the contract's names, with defaults, renamed events and split categories."""
    import pyarrow as pa

    columns: dict[str, pa.Array] = {}
    for own, array in zip(batch.schema.names, batch.columns, strict=True):
        name = mapping.names.get(own, own)
        columns[name] = _value(_decoded(array), name, config)
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


def _value(array: "pa.Array", name: str, config: TableConfig) -> "pa.Array":
    """Renames events and splits categories."""
    import pyarrow as pa
    from pyarrow import compute

    text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    if name == CATEGORIES and text:
        return compute.split_pattern(array, config.separator)
    if name == EVENT and text and config.event_names:
        old = pa.array(list(config.event_names), array.type)
        new = pa.array(list(config.event_names.values()), array.type)
        return compute.coalesce(new.take(compute.index_in(array, old)), array)
    return array
