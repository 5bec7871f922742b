"""JSON Lines as a stream of batches: a line that is no JSON object is a problem of its own row, not of the file."""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from schemas.batches import PROBLEM, ROW, column
from schemas.errors import DataError, UsageError
from tasks.sources._places import Place, opened
from tasks.sources._records import field_of

if TYPE_CHECKING:
    import pyarrow as pa

_LINES = 20_000
_BYTES = 64 * 2**20  # of lines that are held at once
_MAX_LINE = 64 * 2**20
_BROKEN = "not a JSON object"


def batches(
    place: Place, encoding: str, offset: int = 0, ids: Collection[str] = (), paths: Sequence[str] = ()
) -> "Iterator[pa.RecordBatch]":
    """Rows under the file's own names, with row numbers and, where a line could not be read, the problem.

    Args:
        place: The file.
        encoding: Of its lines.
        offset: Byte to start at, the beginning of a line.
        ids: Which of its names are ids.
        paths: Fields of records that are columns too.
    """
    chunk: list[dict[str, Any] | None] = []
    check_encoding(encoding, place)
    first, held = 1, 0
    with opened(place, offset) as stream:
        for line in lines_of(stream, place):
            if first == 1 and not chunk and line.lstrip(b"\t \xef\xbb\xbf").startswith(b"["):
                raise DataError(f"{place.name} is one JSON array; write one object a line, as `jq -c '.[]'` does")
            if line.strip(b"\r\n\t \xef\xbb\xbf"):
                chunk.append(_object(line, encoding))
                held += len(line)
            if len(chunk) == _LINES or held >= _BYTES:
                yield _batch(chunk, first, ids, paths)
                first, chunk, held = first + len(chunk), [], 0
    if chunk:
        yield _batch(chunk, first, ids, paths)


def check_encoding(encoding: str, place: Place) -> None:
    """UsageError where there is no such encoding, or one in which lines cannot be told apart."""
    try:
        plain = "\n".encode(encoding) == b"\n"
    except LookupError:
        raise UsageError(f"{place.name}: there is no encoding {encoding!r}") from None
    if not plain:
        raise UsageError(f"{place.name}: JSON Lines cannot be read as {encoding}, nor wide lines; write them as utf-8")


def lines_of(stream: BinaryIO, place: Place) -> Iterator[bytes]:
    """The lines of a stream, in bytes.

    Raises:
        DataError: one is longer than can be held.
    """
    number = 0
    while line := stream.readline(_MAX_LINE):
        number += 1
        if len(line) == _MAX_LINE:
            raise DataError(f"{place.name}: line {number} is longer than {_MAX_LINE:,} bytes")
        yield line


def _object(line: bytes, encoding: str) -> dict[str, Any] | None:
    """The line's object, or None."""
    try:
        value = json.loads(line.decode("utf-8-sig" if encoding == "utf-8" else encoding))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _batch(
    rows: list[dict[str, Any] | None], first: int, ids: Collection[str], paths: Sequence[str]
) -> "pa.RecordBatch":
    """Objects as columns; a row without a key is null there."""
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows if row is not None for name in row))
    columns = {name: column([None if row is None else row.get(name) for row in rows], name in ids) for name in names}
    for path in [path for path in paths if path not in columns]:
        values = [field_of(row, path) for row in rows]
        if any(value is not None for value in values):
            columns[path] = column(values, path in ids)
    numbers = pa.array(range(first, first + len(rows)), pa.int64())
    problems = pa.array([_BROKEN if row is None else None for row in rows], pa.string())
    return pa.RecordBatch.from_pydict({**columns, ROW: numbers, PROBLEM: problems})
