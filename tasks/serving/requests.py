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


def bucket_of(users: Iterable[Mapping[str, Any]], items: "pl.DataFrame | None") -> Bucket:
    """One bucket from raw users.

    Args:
        users: Per user `user_id` and optionally `events` (list of item_id, event, timestamp, value), `texts` (list of
            text, timestamp, kind) and `attributes` (column -> value); lists may come as JSON text.
        items: The catalogue; None where there is none.

    Raises:
        DataError: a user has no id, one comes twice, or a row lacks a column or has one that cannot be read.
    """
    import polars as pl

    events: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for user in users:
        name = user.get(USER_ID)
        if not isinstance(name, str) or not name:
            raise DataError(f"request: every user needs a text {USER_ID}")
        people.append({USER_ID: name, **_object(user.get(ATTRIBUTES), ATTRIBUTES)})
        events += [{SEQUENCE: i, **row, USER_ID: name} for i, row in enumerate(_rows(user.get(EVENTS.name), EVENTS))]
        texts += [{**row, USER_ID: name} for row in _rows(user.get(TEXTS.name), TEXTS)]
    if len({person[USER_ID] for person in people}) < len(people):
        raise DataError(f"request: a {USER_ID} comes twice; send each user once")
    tables = {
        EVENTS.name: _frame(events, EVENTS).sort(USER_ID, TIMESTAMP, SEQUENCE),
        TEXTS.name: _frame(texts, TEXTS),
        USERS.name: pl.DataFrame(people, infer_schema_length=None).sort(USER_ID),
    }
    return tables if items is None else {**tables, ITEMS.name: items}


def _object(value: Any, what: str) -> dict[str, Any]:
    value = json.loads(value) if isinstance(value, str) else value
    if value is None or value != value:  # NaN: a frame's way of saying nothing
        return {}
    if not isinstance(value, Mapping):
        raise DataError(f"request: {what} has to be an object")
    return dict(value)


def _rows(value: Any, table: Table) -> list[dict[str, Any]]:
    value = json.loads(value) if isinstance(value, str) else value
    if value is None or isinstance(value, float):
        return []
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
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        raise DataError(f"request: {table.name} cannot be read: {str(error).splitlines()[0][:200]}") from error
    for column in table.required:
        if frame[column].null_count():
            raise DataError(f"request: {table.name}.{column} is missing in a row")
    return frame


def _moment(value: Any, table: str) -> datetime:
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"request: {table}.{TIMESTAMP} has to be ISO text or seconds since 1970, UTC") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
