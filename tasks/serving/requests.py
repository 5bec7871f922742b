"""Raw users as they arrive online, as one bucket of contract tables."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from schemas.errors import DataError
from schemas.tables import EVENTS, ITEMS, SEQUENCE, TEXTS, TIMESTAMP, USER_ID, USERS, Bucket, Table

if TYPE_CHECKING:
    import polars as pl

ATTRIBUTES = "attributes"
EXAMPLE = {
    USER_ID: "someone-new",
    EVENTS.name: [{"item_id": "1", "event": "view", TIMESTAMP: "2026-01-31T12:00:00Z", "value": 1.0}],
}
"""A request for one user; an item that the catalogue does not know counts as an event all the same."""


def bucket_of(
    users: Iterable[Mapping[str, Any]], items: "pl.DataFrame | None", people: "pl.DataFrame | None" = None
) -> Bucket:
    """One bucket from raw users.

    Args:
        users: Per user `user_id` and optionally `events` (list of item_id, event, timestamp, value), `texts` (list of
            text, timestamp, kind) and `attributes` (column -> value); lists may come as JSON text.
        items: The catalogue; None where there is none.
        people: An empty frame with the columns of the users table of the training; None: there was none.

    Raises:
        DataError: a user has no id, one comes twice, a row lacks a column or has one that is unknown or unreadable.
    """
    events: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    asked: list[dict[str, Any]] = []
    for user in users:
        name = user.get(USER_ID)
        if not isinstance(name, str) or not name:
            raise DataError(f"request: every user needs a text {USER_ID}")
        asked.append(_own(_object(user.get(ATTRIBUTES), ATTRIBUTES), name, ATTRIBUTES))
        rows = enumerate(_rows(user.get(EVENTS.name), EVENTS))
        events += [_own({SEQUENCE: i, **row}, name, EVENTS.name) for i, row in rows]
        texts += [_own(row, name, TEXTS.name) for row in _rows(user.get(TEXTS.name), TEXTS)]
    if len({person[USER_ID] for person in asked}) < len(asked):
        raise DataError(f"request: a {USER_ID} comes twice; send each user once")
    tables = {
        EVENTS.name: _frame(events, EVENTS).sort(USER_ID, TIMESTAMP, SEQUENCE),
        TEXTS.name: _frame(texts, TEXTS),
        USERS.name: _people(asked, people),
    }
    return tables if items is None else {**tables, ITEMS.name: items}


def _people(asked: list[dict[str, Any]], known: "pl.DataFrame | None") -> "pl.DataFrame":
    """The users table of a request: the columns of the training, empty where nothing was sent."""
    import polars as pl

    schema = {USER_ID: pl.String} if known is None else dict(known.schema)
    if unknown := {column for person in asked for column in person} - schema.keys():
        told = ", ".join(sorted(schema.keys() - {USER_ID})) or "none"
        odd = ", ".join(sorted(unknown))[:200]
        raise DataError(f"request: {ATTRIBUTES} {odd} not known to the model; it has {told}")
    columns = {}
    for name, dtype in schema.items():
        values = [person.get(name) for person in asked]
        try:
            columns[name] = pl.Series(name, values, strict=False).cast(dtype)
        except (pl.exceptions.PolarsError, TypeError, OverflowError, UnicodeError) as error:
            raise DataError(f"request: {ATTRIBUTES}.{name} has to be {dtype}") from error
    return _finite(pl.DataFrame(columns), ATTRIBUTES).sort(USER_ID)


def _finite(frame: "pl.DataFrame", what: str) -> "pl.DataFrame":
    """The frame itself; NaN is a way of saying nothing, infinity is a mistake."""
    import polars.selectors as cs

    for column in frame.select(cs.float()):
        if column.is_infinite().any():
            raise DataError(f"request: {what}.{column.name} is infinite in a row")
    return frame


def _json(value: Any, what: str) -> Any:
    """A value that may come as JSON text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise DataError(f"request: {what} is text, but not JSON") from error


def _own(row: dict[str, Any], name: str, what: str) -> dict[str, Any]:
    """A row with the id of the user it stands under; it need not repeat it, but may name nobody else."""
    if row.get(USER_ID, name) != name:
        raise DataError(f"request: {what} of one user name another {USER_ID}")
    return {**row, USER_ID: name}


def _nothing(value: Any) -> bool:
    """Whether nothing was sent: null, or NaN, which is a frame's way of saying so."""
    return value is None or (isinstance(value, float) and value != value)


def _object(value: Any, what: str) -> dict[str, Any]:
    value = _json(value, what)
    if _nothing(value):
        return {}
    if not isinstance(value, Mapping):
        raise DataError(f"request: {what} has to be an object")
    return dict(value)


def _rows(value: Any, table: Table) -> list[dict[str, Any]]:
    value = _json(value, table.name)
    if _nothing(value):
        return []
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise DataError(f"request: {table.name} has to be a list of rows")
    rows = [_object(row, f"a row of {table.name}") for row in value]
    for row in rows:
        if unknown := set(row) - set(table.names):
            raise DataError(f"request: {table.name} has no column {', '.join(sorted(unknown))}")
    return rows


def _frame(rows: list[dict[str, Any]], table: Table) -> "pl.DataFrame":
    """Rows in the contract's types; timestamps are ISO text or seconds since 1970."""
    import polars as pl

    for row in rows:
        row[TIMESTAMP] = _moment(row.get(TIMESTAMP), table.name)
    try:
        frame = pl.DataFrame(rows, schema=table.polars_schema(), strict=True)
    except (pl.exceptions.PolarsError, TypeError, OverflowError, UnicodeError) as error:
        raise DataError(f"request: {table.name} cannot be read: {str(error).splitlines()[0][:200]}") from error
    for column in table.required:
        if frame[column].null_count():
            raise DataError(f"request: {table.name}.{column} is missing in a row")
    return _finite(frame, table.name)


def _moment(value: Any, table: str) -> datetime:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"request: {table}.{TIMESTAMP} has to be ISO text or seconds since 1970, UTC") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
