"""CSV as a stream of batches: every row comes out, also those with too few or too many cells."""

import codecs
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from schemas.batches import PROBLEM, ROW
from schemas.errors import DataError
from tasks.sources._csv_head import Head, head
from tasks.sources._csv_lines import Lines
from tasks.sources._delimiters import BLANKS, ONE, OneDelimiter, WholeLines, several, with_one, without_comments
from tasks.sources._places import Place, opened
from tasks.sources._tables_config import TableConfig

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_BLOCK = 32 * 2**20  # bytes; a longer row is refused
STRAY_QUOTE = "a quote joins it with other rows; double it, or set quote: '' where quotes mean nothing"
HEADER_AGAIN = "the header again, as where files were joined"
RULE = "a line of dashes, as query tools draw one below the header"


def header(place: Place, config: TableConfig, needed: Sequence[str] = ()) -> list[str]:
    """Column names of the file; see `_csv_head.head`."""
    return head(place, config, needed).names


def batches(
    place: Place, config: TableConfig, names: list[str], wanted: list[str], offset: int = 0
) -> "Iterator[pa.RecordBatch]":
    """Rows as bytes columns with their row numbers; rows that are none come as problems.

    Args:
        place: The file.
        config: Delimiter, encoding, nulls.
        names: All columns, in order.
        wanted: Columns to read.
        offset: Byte to start at, the beginning of a row; 0: the file's beginning.
    """
    first = head(place, config)
    form = Head(names, first.delimiter, 0 if offset else first.skip)
    with opened(place, offset) as stream:
        text = _in_utf8(stream, config)
        if config.comment:
            text = WholeLines(text, without_comments(config.comment))
        if len(form.delimiter) > 1:
            blanks = form.delimiter == BLANKS
            text = WholeLines(text, with_one) if blanks else OneDelimiter(text, form.delimiter)
            form = replace(form, delimiter=ONE)
        within = " " if first.delimiter == BLANKS else first.delimiter
        for batch in _stream(text, place, config, form, wanted):
            yield batch if form.delimiter == first.delimiter else several(batch, within)


def _in_utf8(stream: BinaryIO, config: TableConfig) -> Any:
    """The stream in UTF-8."""
    if codecs.lookup(config.encoding).name in ("utf-8", "ascii", "utf-8-sig"):
        return stream
    return codecs.EncodedFile(stream, "utf-8", config.encoding, "strict")


def _stream(
    stream: Any, place: Place, config: TableConfig, form: Head, wanted: list[str]
) -> "Iterator[pa.RecordBatch]":
    """pyarrow's streaming reader on one thread, which alone knows the numbers of broken rows."""
    import pyarrow as pa

    broken: list[tuple[int, str]] = []
    lines = Lines(stream, config.quote, form.delimiter, len(form.names), form.skip)

    def note(row: Any) -> str:
        broken.append(
            (row.number - form.skip, f"{row.actual_columns} cells where the header has {row.expected_columns}")
        )
        return "skip"

    given = 0
    try:
        for batch in _numbered(_reader(lines, config, form, wanted, note), broken, lines.swallowed, wanted):
            given += len(batch)
            yield batch
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise DataError(f"{place.name}: {' '.join(str(error).split())[:200]}") from None
    except UnicodeError as error:
        raise DataError(f"{place.name} is not {config.encoding}: {error.reason}; set encoding") from None  # type: ignore[attr-defined]
    _check_all_there(lines, given, place)


def _check_all_there(lines: Lines, given: int, place: Place) -> None:
    """DataError where rows went into a cell unseen."""
    if lines.opened is not None:
        raise DataError(
            f"{place.name}: a quote is opened and never closed in row {lines.opened}, so rows are lost; the file may "
            "be truncated, or set quote: '' where quotes mean nothing"
        )
    if given != (rows := lines.rows + sum(lines.swallowed.values()) - len(lines.swallowed)):
        raise DataError(
            f"{place.name}: {rows} rows by its lines, but {given} by its quotes, some of which stand in the middle of "
            "a cell; double those, or set quote: '' where quotes mean nothing"
        )


def _reader(stream: Any, config: TableConfig, form: Head, wanted: list[str], note: Callable[[Any], str]) -> Any:
    """pyarrow's streaming reader; all cells are bytes, and an empty one is null whatever else is."""
    import pyarrow as pa
    from pyarrow import csv

    names = [name or f"\0{number}" for number, name in enumerate(form.names)]

    return csv.open_csv(
        stream,
        csv.ReadOptions(use_threads=False, block_size=_BLOCK, column_names=names, skip_rows=form.skip),
        csv.ParseOptions(
            delimiter=form.delimiter,
            quote_char=config.quote or False,
            newlines_in_values=True,
            invalid_row_handler=note,
        ),
        csv.ConvertOptions(
            column_types={name: pa.binary() for name in names},
            include_columns=wanted,
            strings_can_be_null=True,
            null_values=["", *config.nulls],
            check_utf8=False,
        ),
    )


def _numbered(
    reader: Any, broken: list[tuple[int, str]], swallowed: dict[int, int], wanted: list[str]
) -> "Iterator[pa.RecordBatch]":
    """Adds row numbers, and what is wrong with rows: the reader leaves broken ones out, so those after them count on.

    A row that a stray quote made of several comes as that many, and those after it count on from there.
    """
    import numpy as np
    import pyarrow as pa

    good, told = 0, 0
    for batch in reader:
        ordinal = np.arange(good + 1, good + 1 + len(batch))
        before = np.array([number - place for place, (number, _) in enumerate(broken, 1)], dtype=np.int64)
        rows = ordinal + np.searchsorted(before, ordinal, side="left")
        good += len(batch)
        odd = [(row, STRAY_QUOTE) for row in swallowed if len(rows) and rows[0] <= row <= rows[-1] and row in rows]
        odd += [(int(row), HEADER_AGAIN) for row in rows[_where(batch, wanted, _is_name)]]
        odd += [(int(row), RULE) for row in rows[_where(batch, wanted, _is_ruled)]]
        batch = batch.append_column(ROW, pa.array(_moved(rows, swallowed)))
        kept = ~np.isin(rows, [row for row, _ in odd])
        yield batch if kept.all() else batch.filter(pa.array(kept))
        if odd or len(broken) > told:
            yield _broken([*odd, *broken[told:]], swallowed, wanted)
            told = len(broken)
    if len(broken) > told:
        yield _broken(broken[told:], swallowed, wanted)


def _moved(rows: "np.ndarray", swallowed: dict[int, int]) -> "np.ndarray":
    """Numbers of rows where each swallowed row counts."""
    import numpy as np

    if not swallowed:
        return rows
    at, more = np.array(list(swallowed)), np.cumsum([0, *(count - 1 for count in swallowed.values())])
    return rows + more[np.searchsorted(at, rows, side="left")]


def _where(batch: "pa.RecordBatch", wanted: list[str], test: Callable[[Any, str], Any]) -> "np.ndarray":
    """Mask of the rows in which every cell passes a test of it and its column's name."""
    import numpy as np
    from pyarrow import compute

    mask = np.ones(len(batch), bool)
    for name in wanted:
        if not mask.any():
            break
        mask &= compute.fill_null(test(batch[name], name), False).to_numpy(zero_copy_only=False)
    return mask & bool(wanted)


def _is_name(cells: Any, name: str) -> Any:
    from pyarrow import compute

    return compute.equal(cells, name.encode())


def _is_ruled(cells: Any, _: str) -> Any:
    from pyarrow import compute

    begins = compute.starts_with(cells, "--")  # hardly any cell does, and the pattern takes ten times as long
    return compute.match_substring_regex(cells, r"^-{2,} *$") if compute.any(begins).as_py() else begins


def _broken(rows: list[tuple[int, str]], swallowed: dict[int, int], wanted: list[str]) -> "pa.RecordBatch":
    """Broken rows as a batch: their numbers and problems, no values."""
    import numpy as np
    import pyarrow as pa

    first = _moved(np.array([row for row, _ in rows]), swallowed)
    told = [
        (int(start) + line, STRAY_QUOTE if row in swallowed else problem)
        for start, (row, problem) in zip(first, rows, strict=True)
        for line in range(swallowed.get(row, 1))
    ]
    numbers, problems = zip(*told, strict=True)
    empty = {name: pa.nulls(len(told), pa.binary()) for name in wanted}
    return pa.RecordBatch.from_pydict({**empty, ROW: pa.array(numbers), PROBLEM: pa.array(problems)})
