"""Rows of a query as a stream of batches, through SQLAlchemy."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from schemas.batches import column
from schemas.errors import DataError, UsageError, did_you_mean
from schemas.secrets import redact, resolve
from tasks.sources._tables_config import TableConfig

if TYPE_CHECKING:
    from decimal import Decimal

    import pyarrow as pa

_ROWS = 50_000
_SNAPSHOTS = ("REPEATABLE READ", "SERIALIZABLE")
"""Isolation under which a transaction sees one moment throughout (PostgreSQL, MySQL; Oracle), the cheapest first."""


class Transaction:
    """One transaction per database, begun when it is first asked: all that is read through it is of one moment.

    Whatever goes wrong is told without the address and its credentials.
    """

    def __init__(self) -> None:
        self._open: dict[str, Any] = {}
        self._ends = ExitStack()

    def __enter__(self) -> "Transaction":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Closes every connection; nothing was written."""
        self._open.clear()
        self._ends.close()

    @contextmanager
    def on(self, config: TableConfig, name: str) -> Iterator[Any]:
        """The connection to a table's database.

        Raises:
            DataError: the database refuses the connection or the query.
            UsageError: no address, or one that SQLAlchemy does not understand.
        """
        import sqlalchemy

        if config.url is None:
            raise UsageError(f"{name}: sql needs url, the database's address")
        try:
            if config.url not in self._open:
                self._open[config.url] = self._begun(config.url, name)
            yield self._open[config.url]
        except sqlalchemy.exc.SQLAlchemyError as error:
            self.end()
            cause = getattr(error, "orig", None) or error
            raise DataError(f"{name}: the database says: {redact(str(cause), config.url)}") from None

    def _begun(self, url: str, name: str) -> Any:
        import sqlalchemy

        engine = _engine(url, name)
        self._ends.callback(engine.dispose)
        connection = self._ends.enter_context(engine.connect())
        offered = engine.dialect.get_isolation_level_values(connection.connection.dbapi_connection)
        level = next((one for one in _SNAPSHOTS if one in offered), None)
        connection.execution_options(stream_results=True, max_row_buffer=_ROWS)
        if engine.dialect.name == "sqlite":  # its driver begins nothing before a SELECT
            connection.execute(sqlalchemy.text("BEGIN"))
        elif level is not None:
            connection.execution_options(isolation_level=level)
        return connection


def _engine(url: str, name: str) -> Any:
    import sqlalchemy

    try:
        return sqlalchemy.create_engine(resolve(url), hide_parameters=True)
    except sqlalchemy.exc.NoSuchModuleError:
        scheme = url.partition("://")[0]
        known = sqlalchemy.dialects.__all__
        near = did_you_mean(scheme, known, f"SQLAlchemy has {', '.join(known)}")
        raise UsageError(f"{name}: url: there is no kind of database {scheme[:40]!r} here; {near}") from None
    except (sqlalchemy.exc.ArgumentError, ImportError) as error:
        raise UsageError(f"{name}: {redact(str(error), url)}") from None


def _query(config: TableConfig) -> str:
    """The query as a part of another: it may end in a comment, and its colons name no parameters of ours."""
    plain = (config.sql or "").strip().rstrip(";")
    return "\n" + re.sub(r"(?<![:\w\\]):(\w+)(?!:)", r"\\:\1", plain) + "\n"


def header(config: TableConfig, name: str, within: Transaction) -> list[str]:
    """Column names of the query's result."""
    import sqlalchemy

    with within.on(config, name) as connection:
        result = connection.execute(sqlalchemy.text(f"SELECT * FROM ({_query(config)}) AS q WHERE 1 = 0"))
        names = list(result.keys())
        result.close()
        return names


def stamp(config: TableConfig, name: str, within: Transaction, rows: int | None = None) -> dict[str, str]:
    """Rows of the query, its digest and, where there is one, the highest value of the column that only grows.

    Args:
        config: The table.
        name: What it is called.
        within: The moment to look at.
        rows: How many there are, where they were all read: they are not counted again.
    """
    import sqlalchemy

    asked = ["COUNT(*)"] * (rows is None) + [f"MAX({config.since_column})"] * bool(config.since_column)
    found: list[Any] = []
    if asked:
        with within.on(config, name) as connection:
            query = f"SELECT {', '.join(asked)} FROM ({_query(config)}) AS q"
            found = [*connection.execute(sqlalchemy.text(query)).one()]
    told = {f"sql:{name}": f"{_digest(config)}-{found.pop(0) if rows is None else rows}"}
    return {**told, f"mark:{name}": str(found[0])} if found and found[0] is not None else told


def kept(config: TableConfig, name: str, since: Mapping[str, str], within: Transaction) -> bool:
    """Whether the rows of that time are still as many: none has gone, and none has come in at or below the mark."""
    import sqlalchemy

    column = config.since_column
    query = f"SELECT COUNT(*) FROM ({_query(config)}) AS q WHERE {column} <= :mark OR {column} IS NULL"
    with within.on(config, name) as connection:
        count = connection.execute(sqlalchemy.text(query), {"mark": _typed(since[f"mark:{name}"])}).scalar_one()
    return since.get(f"sql:{name}") == f"{_digest(config)}-{count}"


def _digest(config: TableConfig) -> str:
    return hashlib.sha256(_query(config).encode()).hexdigest()[:16]


def batches(
    config: TableConfig, name: str, since: Mapping[str, str] | None, within: Transaction
) -> "Iterator[pa.RecordBatch]":
    """Rows under the query's own names; with `since`, only those beyond the mark of that time."""
    import pyarrow as pa
    import sqlalchemy

    ids = config.ids()
    query, parameters = f"SELECT * FROM ({_query(config)}) AS q", {}
    mark = (since or {}).get(f"mark:{name}")
    if config.since_column and mark is not None:
        query += f" WHERE {config.since_column} > :mark"
        parameters = {"mark": _typed(mark)}
    with within.on(config, name) as connection:
        result = connection.execute(sqlalchemy.text(query), parameters)
        names = list(result.keys())
        for rows in result.partitions(_ROWS):
            columns = zip(names, zip(*rows, strict=True), strict=True)
            yield pa.RecordBatch.from_arrays([column(_plain(values), own in ids) for own, values in columns], names)


def _typed(mark: str) -> int | str:
    """The mark as a whole number where it is one: PostgreSQL compares no number with a text."""
    return int(mark) if mark.lstrip("-").isdigit() else mark


def _plain(values: tuple[Any, ...]) -> list[Any]:
    """Values of drivers as Arrow or `column` take them; they have rules for all others."""
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
