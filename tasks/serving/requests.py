"""Raw users as they arrive online, as one bucket of contract tables: by the row rules of ingest, and within bounds."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.batches import column
from schemas.config import IngestConfig
from schemas.errors import DataError, did_you_mean
from schemas.limits import MAX_ROWS, MAX_ROWS_OF_USER, MAX_USERS
from schemas.tables import (
    COLUMN,
    EVENTS,
    IDS,
    ITEMS,
    LOCATOR,
    REASON,
    SEQUENCE,
    TEXTS,
    TIMESTAMP,
    USER_ID,
    USERS,
    Bucket,
    Column,
    Table,
)
from tasks.cleaning.ids import identifier
from tasks.cleaning.rows import clean

if TYPE_CHECKING:
    import polars as pl

ATTRIBUTES = "attributes"
EXAMPLE = {
    USER_ID: "someone-new",
    EVENTS.name: [{"item_id": "1", "event": "view", TIMESTAMP: "2026-01-31T12:00:00Z", "value": 1.0}],
}
"""A request for one user; an item that the catalogue does not know counts as an event all the same."""
PLAIN = IngestConfig()
_ALWAYS = datetime(9999, 12, 31, tzinfo=UTC)  # what comes after the moment asked about is not looked at, nor refused


class Asked(NamedTuple):
    """One user of a request; None where nothing was sent: an empty list says that there are none."""

    user_id: str
    events: list[dict[str, Any]] | None
    texts: list[dict[str, Any]] | None
    attributes: dict[str, Any] | None

    @property
    def alone(self) -> bool:
        """Whether nothing but the id was sent."""
        return self.events is None and self.texts is None and self.attributes is None


def asked(users: Iterable[Mapping[str, Any]]) -> list[Asked]:
    """The users of a request, in its order, with ids in the form that ingest gives them.

    Args:
        users: Per user `user_id` and optionally `events` (list of item_id, event, timestamp, value), `texts` (list of
            text, timestamp, kind) and `attributes` (column -> value); lists may come as JSON text.

    Raises:
        DataError: a user has no id or one that ingest would not take, one comes twice, a column is unknown, or there
            are more users or rows than one request may hold.
    """
    sent = [*users]
    if len(sent) > MAX_USERS:
        raise DataError(f"request: {len(sent):,} users; send at most {MAX_USERS:,} at once, or use `fenqun assign`")
    for user in sent:
        _check_columns(user, (USER_ID, EVENTS.name, TEXTS.name, ATTRIBUTES), "")
    ids = _ids([user.get(USER_ID) for user in sent])
    found = [
        Asked(
            name,
            _rows(user.get(EVENTS.name), EVENTS),
            _rows(user.get(TEXTS.name), TEXTS),
            _object(user.get(ATTRIBUTES), ATTRIBUTES),
        )
        for name, user in zip(ids, sent, strict=True)
    ]
    if (rows := sum(len(one.events or ()) + len(one.texts or ()) for one in found)) > MAX_ROWS:
        raise DataError(f"request: {rows:,} events and texts; send at most {MAX_ROWS:,} at once")
    return found


def _ids(raw: list[Any]) -> list[str]:
    """User ids by the rule of ingest, each once."""
    import polars as pl

    values = pl.Series(USER_ID, pl.from_arrow(column(raw, ids=True)))
    ids, problems = identifier(values)
    for mask, reason in [*problems, (ids.is_null(), "every user needs one")]:
        if (at := mask.fill_null(False).arg_max()) is not None and mask[at]:
            raise DataError(f"request: {USER_ID}: {reason} (user {at + 1} of {len(raw)})")
    if len(ids.unique()) < len(ids):
        raise DataError(f"request: a {USER_ID} comes twice; send each user once")
    return ids.to_list()


def bucket_of(
    users: Sequence[Asked],
    items: "pl.DataFrame | None",
    people: "pl.DataFrame | None" = None,
    rules: IngestConfig = PLAIN,
) -> Bucket:
    """One bucket from the users of a request.

    Args:
        users: As `asked` found them.
        items: The catalogue; None where there is none.
        people: An empty frame with the columns of the users table of the training; None: there was none.
        rules: Those of the training.

    Raises:
        DataError: a row breaks a rule by which ingest would set it aside, or an attribute is not known.
    """
    events = [_own({SEQUENCE: i, **row}, u.user_id, EVENTS) for u in users for i, row in enumerate(u.events or ())]
    texts = [_own(row, user.user_id, TEXTS) for user in users for row in user.texts or ()]
    tables = {
        EVENTS.name: _accepted(events, EVENTS, EVENTS.name, rules).sort(USER_ID, TIMESTAMP, SEQUENCE),
        TEXTS.name: _accepted(texts, TEXTS, TEXTS.name, rules),
        USERS.name: _people(users, people, rules),
    }
    return tables if items is None else {**tables, ITEMS.name: items}


def records(sent: Any) -> list[dict[str, Any]]:
    """The users of a request, in whichever of MLflow's forms it came: a frame, columns, or rows."""
    import pandas as pd

    try:
        frame = sent if isinstance(sent, pd.DataFrame) else pd.DataFrame(sent if isinstance(sent, Mapping) else [*sent])
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError("request: send a table with a row for each user, such as dataframe_records") from error
    return frame.to_dict("records")


def _check_columns(sent: Iterable[Any], known: Sequence[str], what: str) -> None:
    """DataError where a column is unknown, with the nearest known one: a misspelt one would count as nothing sent."""
    if odd := sorted({str(name) for name in sent} - set(known)):
        near = did_you_mean(odd[0], known, f"it has {', '.join(known)}")
        raise DataError(f"request: {what}no column {odd[0][:80]!r}; {near}")


def _people(users: Sequence[Asked], known: "pl.DataFrame | None", rules: IngestConfig) -> "pl.DataFrame":
    """The users table of a request: the columns of the training, empty where nothing was sent."""
    import polars as pl

    schema = {USER_ID: pl.String} if known is None else dict(known.schema)
    if not any(user.attributes for user in users):
        return pl.DataFrame([{USER_ID: user.user_id} for user in users], schema=schema).sort(USER_ID)
    rows = [_own(user.attributes or {}, user.user_id, USERS) for user in users]
    if unknown := {name for row in rows for name in row} - schema.keys():
        told = ", ".join(sorted(schema.keys() - {USER_ID})) or "none"
        odd = ", ".join(sorted(unknown))[:200]
        raise DataError(f"request: {ATTRIBUTES} {odd} not known to the model; it has {told}")
    further = [Column(name, _dtype(schema[name]), nullable=True) for name in schema if name != USER_ID]
    table = Table(USERS.name, (*USERS.columns, *further))
    return _accepted(rows, table, ATTRIBUTES, rules).cast(pl.Schema(schema)).sort(USER_ID)


def _dtype(dtype: "pl.DataType | type[pl.DataType]") -> Any:
    """What the contract calls a further column of the training."""
    import polars as pl

    if isinstance(dtype, pl.List):
        return "list<string>"
    return "float64" if dtype.is_numeric() else "string"


def _accepted(rows: list[dict[str, Any]], table: Table, what: str, rules: IngestConfig) -> "pl.DataFrame":
    """Rows in the contract's types, by the rules of ingest.

    Raises:
        DataError: a row that ingest would set aside.
    """
    import polars as pl

    if not rows:
        return pl.DataFrame(schema=table.polars_schema())
    raw = {name: column([row.get(name) for row in rows], name in IDS) for name in table.names}
    frame = pl.DataFrame({name: pl.from_arrow(values) for name, values in raw.items()})
    done = clean(frame, table, rules, None, _ALWAYS)
    if len(done.set_aside):
        first = done.set_aside.row(0, named=True)
        user = rows[int(first[LOCATOR].rpartition(":")[2]) - 1][USER_ID]
        form = "; send ISO text or seconds since 1970" if first[COLUMN] == TIMESTAMP else ""
        raise DataError(f"request: {what}.{first[COLUMN]}: {first[REASON]}{form} (user {user[:80]!r})")
    return done.accepted


def _json(value: Any, what: str) -> Any:
    """A value that may come as JSON text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise DataError(f"request: {what} is text, but not JSON") from error


def _own(row: dict[str, Any], name: str, table: Table) -> dict[str, Any]:
    """A row with the id of the user it stands under; it need not repeat it, but may name nobody else."""
    if row.get(USER_ID, name) != name and _ids([row[USER_ID]]) != [name]:
        raise DataError(f"request: {table.name} of one user name another {USER_ID}")
    return {key: None if _nothing(value) else value for key, value in row.items()} | {USER_ID: name}


def _nothing(value: Any) -> bool:
    """Whether nothing was sent: null, or NaN, which is a frame's way of saying so."""
    return value is None or (isinstance(value, float) and value != value)


def _object(value: Any, what: str) -> dict[str, Any] | None:
    """An object, or None where nothing was sent."""
    value = _json(value, what)
    if _nothing(value):
        return None
    if not isinstance(value, Mapping):
        raise DataError(f"request: {what} has to be an object")
    return dict(value)


def _rows(value: Any, table: Table) -> list[dict[str, Any]] | None:
    """Rows of one user, or None where nothing was sent."""
    value = _json(value, table.name)
    if _nothing(value):
        return None
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise DataError(f"request: {table.name} has to be a list of rows")
    rows = [_object(row, f"a row of {table.name}") or {} for row in value]
    if len(rows) > MAX_ROWS_OF_USER:
        raise DataError(
            f"request: {len(rows):,} {table.name} of one user; send at most the newest {MAX_ROWS_OF_USER:,}"
        )
    for row in rows:
        _check_columns(row, table.names, f"{table.name} has ")
    return rows
