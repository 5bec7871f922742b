"""CSV as a stream of batches: every row comes out, also those with too few or too many cells."""

import codecs
import csv as standard
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from schemas.batches import PROBLEM, ROW
from schemas.errors import DataError, UsageError
from tasks.sources._places import Place, opened
from tasks.sources._tables_config import TableConfig

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 32 * 2**20  # bytes; a longer row is refused
_SAMPLE = 2**16
Chooser = Callable[[list[str]], list[str]]


def header(place: Place, config: TableConfig) -> list[str]:
    """Column names of the file.

    Raises:
        DataError: the file is empty, in another encoding, or has another delimiter.
        UsageError: there is no such encoding.
    """
    with opened(place) as stream:
        sample = stream.read(_SAMPLE)
    if not sample.strip():
        raise DataError(f"{place.name} is empty; it has not even a header")
    if config.header is not None:
        return list(config.header)
    first = _decode(sample, place, config).lstrip("\ufeff")
    try:
        form: dict[str, Any] = {"quotechar": config.quote} if config.quote else {"quoting": standard.QUOTE_NONE}
        names = next(standard.reader(io.StringIO(first, newline=None), delimiter=config.delimiter, **form), [])
    except standard.Error as error:
        raise DataError(f"{place.name}: the header cannot be read: {error}") from None
    if "\0" in first.partition("\n")[0]:
        raise DataError(f"{place.name} is no text: its first line holds NUL characters")
    if len(names) == 1:
        _check_delimiter(names[0], place, config.delimiter)
    return names


def _decode(sample: bytes, place: Place, config: TableConfig) -> str:
    """The sample as text, up to its last whole line.

    Raises:
        DataError: it is in another encoding.
    """
    try:
        decoder = codecs.getincrementaldecoder(config.encoding)
    except LookupError:
        raise UsageError(f"{place.name}: there is no encoding {config.encoding!r}") from None
    if sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) and "16" not in config.encoding:
        raise DataError(f"{place.name} is UTF-16; set encoding: utf-16")
    head = sample[: sample.find(b"\n") + 1 or None] if "16" not in config.encoding else sample
    try:
        decoder("strict").decode(head)
    except UnicodeError:
        raise DataError(f"{place.name}: the header is not {config.encoding}; set encoding, such as gb18030") from None
    lines = sample.splitlines()[:-1] if len(sample) == _SAMPLE else sample.splitlines()
    broken = sum(not _valid(line, config.encoding) for line in lines) if "16" not in config.encoding else 0
    if broken > max(1, len(lines) // 2):
        raise DataError(f"{place.name} is not {config.encoding}; set encoding, such as gb18030 or latin-1")
    return sample.decode(config.encoding, "replace")


def _valid(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeError:
        return False
    return True


def _check_delimiter(cell: str, place: Place, delimiter: str) -> None:
    """DataError where the one cell of a header looks like several."""
    for other in (",", ";", "\t", "|"):
        if other != delimiter and other in cell:
            raise DataError(f"{place.name}: the header is one column; it looks separated by {other!r}: set delimiter")


def batches(
    place: Place, config: TableConfig, names: list[str], wanted: list[str], offset: int = 0
) -> "Iterator[pa.RecordBatch]":
    """Rows as bytes columns with their row numbers; rows of the wrong width come as problems.

    Args:
        place: The file.
        config: Delimiter, encoding, nulls.
        names: All columns, in order.
        wanted: Columns to read.
        offset: Byte to start at, the beginning of a row; 0: the file's beginning.
    """
    skip = 0 if config.header is not None or offset else 1
    with opened(place, offset) as stream:
        yield from _stream(_without_bom(stream, config, offset), place, config, names, wanted, skip)


def _without_bom(stream: BinaryIO, config: TableConfig, offset: int) -> Any:
    """The stream in UTF-8."""
    if codecs.lookup(config.encoding).name in ("utf-8", "ascii", "utf-8-sig"):
        return stream
    return codecs.EncodedFile(stream, "utf-8", config.encoding, "strict")


def _stream(
    stream: Any, place: Place, config: TableConfig, names: list[str], wanted: list[str], skip: int
) -> "Iterator[pa.RecordBatch]":
    """pyarrow's streaming reader on one thread, which alone knows the numbers of broken rows."""
    import pyarrow as pa

    broken: list[tuple[int, str]] = []
    last = ""
    counted = _Counted(stream, config.quote.encode())

    def note(row: Any) -> str:
        nonlocal last
        broken.append((row.number - skip, f"{row.actual_columns} cells where the header has {row.expected_columns}"))
        last = row.text or ""
        return "skip"

    try:
        reader = _reader(counted, config, names, wanted, skip, note)
        final: tuple[int, bool] = (0, False)  # the file's last row so far, and whether it runs over lines
        for batch in _numbered(reader, broken, wanted):
            final = max(final, _final(batch)) if len(batch) else final
            yield batch
        if broken and broken[-1][0] >= final[0]:
            final = (broken[-1][0], "\n" in last)
        if counted.quotes % 2 and final[1]:
            raise DataError(
                f"{place.name}: a quote is opened and never closed, so rows are lost; the file may be truncated, "
                "or set quote: '' where quotes mean nothing"
            )
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise DataError(f"{place.name}: {' '.join(str(error).split())[:200]}") from None
    except UnicodeError as error:
        raise DataError(f"{place.name} is not {config.encoding}: {error.reason}; set encoding") from None  # type: ignore[attr-defined]


def _reader(
    stream: Any, config: TableConfig, names: list[str], wanted: list[str], skip: int, note: Callable[[Any], str]
) -> Any:
    """pyarrow's streaming reader; all cells are bytes."""
    import pyarrow as pa
    from pyarrow import csv

    return csv.open_csv(
        stream,
        csv.ReadOptions(use_threads=False, block_size=_BLOCK, column_names=names, skip_rows=skip),
        csv.ParseOptions(
            delimiter=config.delimiter, quote_char=config.quote or False, newlines_in_values=True,
            invalid_row_handler=note,
        ),
        csv.ConvertOptions(
            column_types={name: pa.binary() for name in names}, include_columns=wanted,
            strings_can_be_null=True, null_values=list(config.nulls), check_utf8=False,
        ),
    )  # fmt: skip


class _Counted:
    """A stream that counts the quotes that pass by."""

    closed = False

    def __init__(self, stream: Any, quote: bytes) -> None:
        self._stream, self._quote = stream, quote
        self.quotes = 0

    def read(self, size: int = -1) -> bytes:
        block: bytes = self._stream.read(size)
        self.quotes += block.count(self._quote) if self._quote else 0
        return block

    def close(self) -> None:
        """Whoever opened the stream closes it."""


def _final(batch: "pa.RecordBatch") -> tuple[int, bool]:
    """Number of the batch's last row, and whether one of its cells runs over lines."""
    row = batch.slice(len(batch) - 1).to_pylist()[0]
    return row[ROW], any(b"\n" in cell for cell in row.values() if isinstance(cell, bytes))


def _numbered(reader: Any, broken: list[tuple[int, str]], wanted: list[str]) -> "Iterator[pa.RecordBatch]":
    """Adds row numbers: the reader leaves broken rows out, so those after them count on."""
    import numpy as np
    import pyarrow as pa

    good, told = 0, 0
    for batch in reader:
        ordinal = np.arange(good + 1, good + 1 + len(batch))
        before = np.array([number - place for place, (number, _) in enumerate(broken, 1)], dtype=np.int64)
        rows = ordinal + np.searchsorted(before, ordinal, side="left")
        good += len(batch)
        yield batch.append_column(ROW, pa.array(rows))
        if len(broken) > told:
            yield _broken(broken[told:], wanted)
            told = len(broken)
    if len(broken) > told:
        yield _broken(broken[told:], wanted)


def _broken(rows: list[tuple[int, str]], wanted: list[str]) -> "pa.RecordBatch":
    """Broken rows as a batch: their numbers and problems, no values."""
    import pyarrow as pa

    empty = {name: pa.nulls(len(rows), pa.binary()) for name in wanted}
    numbers, problems = zip(*rows, strict=True)
    return pa.RecordBatch.from_pydict({**empty, ROW: pa.array(numbers), PROBLEM: pa.array(problems)})
