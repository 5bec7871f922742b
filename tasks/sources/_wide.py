"""Rows that hold several values each: lines of a user and as many items as there are, or a column of lists."""

import csv as standard
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from schemas.batches import PROBLEM, ROW
from schemas.errors import DataError
from tasks.sources._csv_head import head
from tasks.sources._delimiters import cells
from tasks.sources._jsonl import check_encoding, lines_of
from tasks.sources._places import Place, opened
from tasks.sources._tables_config import TableConfig
from tasks.sources._written_lists import check_parted, read_lists

if TYPE_CHECKING:
    import pyarrow as pa

_LINES = 20_000
_BYTES = 8 * 2**20  # of lines that are held at once: each of their cells becomes a row
_BROKEN = "a line whose cells cannot be told apart: a quote is left open, or it is in another encoding"


def batches(place: Place, config: TableConfig, offset: int = 0) -> "Iterator[pa.RecordBatch]":
    """Lines as the columns of the header and a list of all cells beyond, with row numbers and problems.

    Args:
        place: The file, CSV.
        config: Header, delimiter, quote, encoding, nulls; `wide` names the list.
        offset: Byte to start at, the beginning of a line.
    """
    check_encoding(config.encoding, place)
    first = head(place, config)
    skip, row, held, chunk = 0 if offset else first.skip, 1, 0, list[list[str | None] | None]()
    with opened(place, offset) as stream:
        for line in lines_of(stream, place):
            bare = line.strip(b"\r\n\t \xef\xbb\xbf")
            if config.comment and bare.startswith(config.comment.encode()):
                continue
            if skip or not bare:
                skip -= bool(skip)
                continue
            chunk.append(_cells(line, first.delimiter, config))
            held += len(line)
            if len(chunk) == _LINES or held >= _BYTES:
                yield _batch(chunk, row, config)
                row, chunk, held = row + len(chunk), [], 0
    if chunk:
        yield _batch(chunk, row, config)


def _cells(line: bytes, delimiter: str, config: TableConfig) -> list[str | None] | None:
    """The cells of a line without the empty ones at its end, which only fill it up; None where they cannot be read."""
    try:
        text = line.decode(config.encoding).lstrip("\ufeff").rstrip("\r\n")
        if len(delimiter) > 1 or not config.quote:
            found = cells(text, delimiter)
        else:
            found = next(standard.reader([text], delimiter=delimiter, quotechar=config.quote, strict=True), [])
    except (UnicodeError, standard.Error):
        return None
    while found and not found[-1]:
        found.pop()
    return [None if cell == "" or cell in config.nulls else cell for cell in found]


def _batch(lines: list[list[str | None] | None], first: int, config: TableConfig) -> "pa.RecordBatch":
    import pyarrow as pa

    leading = config.header or ()
    columns: dict[str, pa.Array] = {}
    for number, name in enumerate(leading):
        values = [line[number] if line and number < len(line) else None for line in lines]
        columns[name] = pa.array(values, pa.string())
    columns[str(config.wide)] = pa.array([line and line[len(leading) :] for line in lines], pa.list_(pa.string()))
    numbers = pa.array(range(first, first + len(lines)), pa.int64())
    problems = pa.array([_BROKEN if line is None else None for line in lines], pa.string())
    return pa.RecordBatch.from_pydict({**columns, ROW: numbers, PROBLEM: problems})


def one_each(batch: "pa.RecordBatch", config: TableConfig, first: int, origin: str) -> "pa.RecordBatch":
    """One row for each value of the wide column, in order; one without any where there is none, for the row rules.

    Args:
        batch: Rows under the source's own names.
        config: Names the wide column, and what parts its values where they are one text.
        first: Row number of the first row.
        origin: Where the batch comes from.

    Raises:
        DataError: the column is neither of lists nor of texts.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    name = str(config.wide)
    if ROW not in batch.schema.names:
        batch = batch.append_column(ROW, pa.array(np.arange(first, first + len(batch))))
    lists = _lists(batch[name], config, origin, first == 1)
    empty = np.flatnonzero(compute.fill_null(compute.list_value_length(lists), 0).to_numpy(zero_copy_only=False) == 0)
    flat = compute.list_flatten(lists)
    parents = np.concatenate([compute.list_parent_indices(lists).to_numpy(), empty])
    order = np.argsort(parents, kind="stable")
    values = pa.concat_arrays([flat, pa.nulls(len(empty), flat.type)]).take(pa.array(order))
    rows = batch.take(pa.array(parents[order]))
    return rows.set_column(rows.schema.get_field_index(name), name, values)


def _lists(column: "pa.Array", config: TableConfig, origin: str, begins: bool) -> Any:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_null(kind):
        return column.cast(pa.list_(pa.string()))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        try:
            column, kind = column.cast(pa.string()), pa.string()
        except pa.ArrowInvalid:
            raise DataError(f"{origin}: {config.wide!r} is not {config.encoding}; set encoding") from None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        if begins and "separator" not in config.model_fields_set:
            check_parted(column, config.separator, f"{origin}: {config.wide}")
        return read_lists(column, config.separator, once=False)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return column
    raise DataError(f"{origin}: wide: {config.wide!r} holds neither lists nor texts; leave wide out")
