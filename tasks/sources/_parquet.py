"""Parquet as a stream of bounded batches, however small the file claims to be.

Footers lie: a few kilobytes of repeated long texts decode to gigabytes. Text columns that may do so are read as
dictionaries, each value once, so that the decoded size of a batch is known exactly before it is decoded, and it is
decoded in slices. What cannot be read so (lists of numbers, rare encodings) is read few rows at a time.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from schemas.errors import DataError
from tasks.sources._places import Place, opened
from tasks.sources._records import FIELD, resolves, with_fields

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 2**18
_SLICE = 128 * 2**20  # decoded bytes that are made at once
_TIGHT = 16  # pages that shrink by more than this when packed hold repeated texts
_DELTA = ("DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY")  # pyarrow reads no dictionaries from these


def _open(stream: Any, place: Place, **options: Any) -> Any:
    """pyarrow's reader of a stream.

    Raises:
        DataError: it is no Parquet file, or it is truncated.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(place.path if place.plain else stream, **options)
    except (pa.ArrowInvalid, OSError) as error:
        words = " ".join(str(error).split())[:160]
        raise DataError(f"{place.name} is no whole Parquet file, it may be truncated: {words}") from None


def header(place: Place, paths: Sequence[str] = ()) -> list[str]:
    """Column names of the file, and those of the paths that are fields of its records."""
    with opened(place) as stream:
        schema = _open(stream, place).schema_arrow
    return list(dict.fromkeys((*schema.names, *(path for path in paths if resolves(schema, path)))))


def _plan(file: Any, wanted: list[str]) -> tuple[list[str], int]:
    """Paths of the text columns to read as dictionaries, and how many rows of the others fit into a slice."""
    metadata, coded, width = file.metadata, [], 1.0
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    for number in range(metadata.num_columns):
        leaf = metadata.schema.column(number)
        if leaf.path not in wanted and not any(leaf.path.startswith(f"{name}.") for name in wanted):
            continue
        chunks = [(group.column(number), max(group.num_rows, 1)) for group in groups]
        if _is_text(leaf) and any(_repeats(chunk) for chunk, _ in chunks):
            coded.append(leaf.path)
        else:
            width += max((_width(leaf, chunk, rows) for chunk, rows in chunks), default=0.0)
    return coded, max(1, min(_ROWS, int(_SLICE / width)))


def _is_text(leaf: Any) -> bool:
    """Whether it holds texts or bytes, outside of maps and records."""
    kinds = ("STRING", "NONE", "JSON", "ENUM")
    return bool(
        leaf.physical_type == "BYTE_ARRAY" and leaf.logical_type.type in kinds and leaf.max_repetition_level < 2
    )


def _repeats(chunk: Any) -> bool:
    """Whether texts can decode to far more than they take in the file."""
    tight = chunk.total_uncompressed_size > _TIGHT * max(chunk.total_compressed_size, 1)
    return (chunk.has_dictionary_page or tight) and not set(_DELTA) & set(chunk.encodings)


def _width(leaf: Any, chunk: Any, rows: int) -> float:
    """Decoded bytes per row, on average; of texts that share beginnings, at most."""
    each = chunk.num_values / rows
    if leaf.physical_type != "BYTE_ARRAY":
        return float(each * max(8, leaf.length or 0))
    if "DELTA_BYTE_ARRAY" in chunk.encodings or leaf.max_repetition_level or chunk.has_dictionary_page:
        return float(min(each * chunk.total_uncompressed_size, _SLICE / 64))
    return float(chunk.total_uncompressed_size / rows)


def batches(place: Place, wanted: list[str]) -> "Iterator[pa.RecordBatch]":
    """The wanted columns in batches of bounded decoded size.

    Raises:
        DataError: the file is damaged.
    """
    import pyarrow as pa

    with opened(place) as stream:
        file = _open(stream, place)
        names = set(file.schema_arrow.names)
        read = list(dict.fromkeys(name if name in names else name.partition(FIELD)[0] for name in wanted))
        repeating, rows = _plan(file, read)
        stream.seek(0)
        file = _open(stream, place, read_dictionary=repeating)
        try:
            for batch in file.iter_batches(batch_size=rows, columns=read):
                yield from _decoded(with_fields(batch, wanted))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise DataError(f"{place.name} is damaged: {' '.join(str(error).split())[:160]}") from None


def _dictionary(array: "pa.Array") -> "pa.Array | None":
    """The dictionary-coded texts of a column, or of a column of lists; None where it is neither."""
    import pyarrow as pa

    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        array = array.flatten()
    return array if pa.types.is_dictionary(array.type) else None


def decoded_bytes(batch: "pa.RecordBatch") -> int:
    """Bytes of the batch once its dictionaries are decoded, without decoding them."""
    import pyarrow as pa
    from pyarrow import compute

    total = 0
    for array in batch.columns:
        coded = _dictionary(array)
        if coded is None or not _texts(coded.type.value_type):
            total += array.nbytes
            continue
        lengths = compute.binary_length(coded.dictionary)
        total += compute.sum(lengths.take(coded.indices).cast(pa.int64())).as_py() or 0
    return total


def _texts(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    )


def _plain(array: "pa.Array") -> "pa.Array":
    """The column without dictionaries. A slice of lists holds on to the texts of all, so only its own are taken."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_dictionary(array.type):
        return array.cast(array.type.value_type)
    lengths = compute.fill_null(compute.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.append(0, np.cumsum(lengths)), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, _plain(array.flatten()), mask=array.is_null())


def _decoded(batch: "pa.RecordBatch") -> "Iterator[pa.RecordBatch]":
    """The batch with plain columns, in slices of bounded size."""
    coded = [name for name in batch.schema.names if _dictionary(batch.column(name)) is not None]
    if not coded:
        yield batch
        return
    if len(batch) > 1 and decoded_bytes(batch) > _SLICE:
        half = len(batch) // 2
        yield from _decoded(batch.slice(0, half))
        yield from _decoded(batch.slice(half))
        return
    for name in coded:
        place = batch.schema.get_field_index(name)
        batch = batch.set_column(place, name, _plain(batch.column(place)))
    yield batch
