"""Delimiters of more than one character, such as the :: of MovieLens: one character stands for them on the way."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ONE = "\x1f"
"""The control character that was made for it, "unit separator"."""
BLANKS = "blanks"
"""The delimiter of files whose columns stand apart by any number of spaces and tabs."""
_LONGEST = 64 * 2**20  # bytes of a line that are held; a longer one is the parser's to refuse


def cells(line: str, delimiter: str) -> list[str]:
    """The cells of a line in which quotes mean nothing."""
    return line.split() if delimiter == BLANKS else line.split(delimiter)


def uncommented(lines: list[str], mark: str) -> list[str]:
    """The lines that do not begin with the mark of a comment."""
    return [line for line in lines if not line.lstrip(" \t").startswith(mark)] if mark else lines


def without_comments(mark: str) -> Callable[[bytes], bytes]:
    """Takes the lines that begin with a mark out of a text of whole lines."""
    comment = re.compile(rb"(?m)^(?:\xef\xbb\xbf)?[ \t]*%b.*\n?" % re.escape(mark.encode()))
    return lambda text: comment.sub(b"", text)


def with_one(text: bytes) -> bytes:
    """A text of whole lines with one character in place of each run of blanks, and none at the ends of lines."""
    return re.sub(rb"[ \t]+", ONE.encode(), re.sub(rb"(?m)^(\xef\xbb\xbf)?[ \t]+|[ \t]+(?=\r?$)", b"", text))


class WholeLines:
    """A stream of UTF-8 whose lines are changed on the way, many at a time."""

    closed = False

    def __init__(self, stream: Any, change: Callable[[bytes], bytes]) -> None:
        self._stream, self._change, self._rest = stream, change, b""

    def read(self, size: int = -1) -> bytes:
        """Some bytes; none at the end."""
        while True:
            block: bytes = self._stream.read(size)
            text = self._rest + block
            end = text.rfind(b"\n") + 1 if block and len(text) < _LONGEST else len(text)
            self._rest, done = text[end:], self._change(text[:end])
            if done or not block:
                return done

    def close(self) -> None:
        """Whoever opened the stream closes it."""


class OneDelimiter:
    """A stream of UTF-8 with one character in place of each delimiter."""

    closed = False

    def __init__(self, stream: Any, delimiter: str) -> None:
        self._stream, self._delimiter = stream, delimiter.encode()
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Some bytes; none at the end."""
        block: bytes = self._stream.read(size)
        text = (self._rest + block).replace(self._delimiter, ONE.encode())
        kept = self._open_end(text) if block else 0  # the first half of a delimiter, perhaps
        self._rest = text[len(text) - kept :]
        done = text[: len(text) - kept]
        return done if done or not block else self.read(size)

    def _open_end(self, text: bytes) -> int:
        """How many of the last bytes may be the beginning of a delimiter."""
        sizes = range(len(self._delimiter) - 1, 0, -1)
        return next((size for size in sizes if text.endswith(self._delimiter[:size])), 0)

    def close(self) -> None:
        """Whoever opened the stream closes it."""


def several(batch: "pa.RecordBatch", delimiter: str) -> "pa.RecordBatch":
    """The batch with the delimiter itself where a quoted cell holds it."""
    import pyarrow as pa
    from pyarrow import compute

    columns = {
        name: compute.replace_substring(column, ONE.encode(), delimiter.encode())
        if pa.types.is_binary(column.type)
        else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    return pa.RecordBatch.from_pydict(columns)
