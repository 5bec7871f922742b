"""Rows of a query as a stream of batches, through SQLAlchemy."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from schemas.errors import DataError, UsageError
from tasks.sources._jsonl import column
from tasks.sources._secrets import redact, resolve
from tasks.sources._tables_config import TableConfig

if TYPE_CHECKING:
    from decimal import Decimal

    import pyarrow as pa

_ROWS = 50_000


@contextmanager
def _connection(config: TableConfig, name: str) -> Iterator[Any]:
    """An open connection; whatever goes wrong is told without the address and its credentials.

    Raises:
        DataError: the database refuses the connection or the query.
        UsageError: no address, or one that SQLAlchemy does not understand.
    """
    import sqlalchemy

    if config.url is None:
        raise UsageError(f"{name}: sql needs url, the database's address")
    try:
        engine = sqlalchemy.create_engine(resolve(config.url), hide_parameters=True)
    except (sqlalchemy.exc.ArgumentError, ImportError) as error:
        raise UsageError(f"{name}: {redact(str(error), config.url)}") from None
    try:
        with engine.connect() as connection:
            yield connection.execution_options(stream_results=True, max_row_buffer=_ROWS)
    except sqlalchemy.exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise DataError(f"{name}: the database says: {redact(str(cause), config.url)}") from None
    finally:
        engine.dispose()


def _query(config: TableConfig) -> str:
    """The query as a part of another: it may end in a comment, and its colons name no parameters of ours."""
    plain = (config.sql or "").strip().rstrip(";")
    return "\n" + re.sub(r"(?<![:\w\\]):(\w+)(?!:)", r"\\:\1", plain) + "\n"


def header(config: TableConfig, name: str) -> list[str]:
    """Column names of the query's result."""
    import sqlalchemy

    with _connection(config, name) as connection:
        result = connection.execute(sqlalchemy.text(f"SELECT * FROM ({_query(config)}) AS q WHERE 1 = 0"))
        return list(result.keys())


def stamp(config: TableConfig, name: str) -> dict[str, str]:
    """Rows of the query, its digest and, where there is one, the highest value of the column that only grows."""
    import sqlalchemy

    mark = f", MAX({config.since_column})" if config.since_column else ""
    with _connection(config, name) as connection:
        row = connection.execute(sqlalchemy.text(f"SELECT COUNT(*){mark} FROM ({_query(config)}) AS q")).one()
    found = {f"sql:{name}": f"{_digest(config)}-{row[0]}"}
    return {**found, f"mark:{name}": str(row[1])} if config.since_column and row[1] is not None else found


def kept(config: TableConfig, name: str, since: Mapping[str, str]) -> bool:
    """Whether the rows of that time are still as many: none has gone, and none has come in at or below the mark."""
    import sqlalchemy

    column = config.since_column
    query = f"SELECT COUNT(*) FROM ({_query(config)}) AS q WHERE {column} <= :mark OR {column} IS NULL"
    with _connection(config, name) as connection:
        count = connection.execute(sqlalchemy.text(query), {"mark": _typed(since[f"mark:{name}"])}).scalar_one()
    return since.get(f"sql:{name}") == f"{_digest(config)}-{count}"


def _digest(config: TableConfig) -> str:
    return hashlib.sha256(_query(config).encode()).hexdigest()[:16]


def batches(config: TableConfig, name: str, since: Mapping[str, str] | None) -> "Iterator[pa.RecordBatch]":
    """Rows under the query's own names; with `since`, only those beyond the mark of that time."""
    import pyarrow as pa
    import sqlalchemy

    query, parameters = f"SELECT * FROM ({_query(config)}) AS q", {}
    mark = (since or {}).get(f"mark:{name}")
    if config.since_column and mark is not None:
        query += f" WHERE {config.since_column} > :mark"
        parameters = {"mark": _typed(mark)}
    with _connection(config, name) as connection:
        result = connection.execute(sqlalchemy.text(query), parameters)
        names = list(result.keys())
        for rows in result.partitions(_ROWS):
            yield pa.RecordBatch.from_arrays([column(_plain(values)) for values in zip(*rows, strict=True)], names)


def _typed(mark: str) -> int | str:
    """The mark as a whole number where it is one: PostgreSQL compares no number with a text."""
    return int(mark) if mark.lstrip("-").isdigit() else mark


def _plain(values: tuple[Any, ...]) -> list[Any]:
    """Values of drivers as Arrow or `_jsonl.column` take them; they have rules for all others."""
    return [_simple(value) for value in values]


def _simple(value: Any) -> Any:
    """Decimals as numbers, UUIDs as text, views of memory as bytes."""
    from decimal import Decimal
    from uuid import UUID

    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, UUID):
        return str(value)
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


def _number(value: "Decimal") -> int | float:
    """A float, or a whole number where a float would lose digits: databases keep ids as decimals."""
    exact = value.is_finite() and abs(value) >= 2**53 and value == value.to_integral_value()
    return int(value) if exact else float(value)
