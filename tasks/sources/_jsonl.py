"""JSON Lines as a stream of batches: a line that is no JSON object is a problem of its own row, not of the file."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from schemas.batches import PROBLEM, ROW
from schemas.errors import DataError, UsageError
from tasks.sources._places import Place, opened

if TYPE_CHECKING:
    import pyarrow as pa

_LINES = 20_000
_BYTES = 64 * 2**20  # of lines that are held at once
_MAX_LINE = 64 * 2**20
_BROKEN = "not a JSON object"


def batches(place: Place, encoding: str, offset: int = 0) -> "Iterator[pa.RecordBatch]":
    """Rows under the file's own names, with row numbers and, where a line could not be read, the problem."""
    chunk: list[dict[str, Any] | None] = []
    _check(encoding, place)
    first, held = 1, 0
    with opened(place, offset) as stream:
        while line := stream.readline(_MAX_LINE):
            if len(line) == _MAX_LINE:
                raise DataError(f"{place.name}: line {first + len(chunk)} is longer than {_MAX_LINE:,} bytes")
            if line.strip(b"\r\n\t \xef\xbb\xbf"):
                chunk.append(_object(line, encoding))
                held += len(line)
            if len(chunk) == _LINES or held >= _BYTES:
                yield _batch(chunk, first)
                first, chunk, held = first + len(chunk), [], 0
    if chunk:
        yield _batch(chunk, first)


def _check(encoding: str, place: Place) -> None:
    """UsageError where there is no such encoding, or one in which lines cannot be told apart."""
    try:
        plain = "\n".encode(encoding) == b"\n"
    except LookupError:
        raise UsageError(f"{place.name}: there is no encoding {encoding!r}") from None
    if not plain:
        raise UsageError(f"{place.name}: JSON Lines cannot be read as {encoding}; write them as utf-8")


def _object(line: bytes, encoding: str) -> dict[str, Any] | None:
    """The line's object, or None."""
    try:
        value = json.loads(line.decode("utf-8-sig" if encoding == "utf-8" else encoding))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _batch(rows: list[dict[str, Any] | None], first: int) -> "pa.RecordBatch":
    """Objects as columns; a row without a key is null there."""
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows if row is not None for name in row))
    columns = {name: column([None if row is None else row.get(name) for row in rows]) for name in names}
    numbers = pa.array(range(first, first + len(rows)), pa.int64())
    problems = pa.array([_BROKEN if row is None else None for row in rows], pa.string())
    return pa.RecordBatch.from_pydict({**columns, ROW: numbers, PROBLEM: problems})


def column(values: list[Any]) -> "pa.Array":
    """Python values as one Arrow column: of their own type where they share one, else as text.

    Texts that UTF-8 cannot hold (lone surrogates) make a column of bytes, for the row rules to judge.
    """
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        texts = [_text(value) for value in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([None if t is None else t.encode("utf-8", "surrogatepass") for t in texts], pa.binary())


def _text(value: Any) -> str | None:
    """A value as text: texts as they are, lists and objects as JSON; bytes that are no text keep lone surrogates."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else str(value)
