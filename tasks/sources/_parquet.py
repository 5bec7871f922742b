"""Parquet as a stream of bounded batches, however small the file claims to be.

Footers lie: a few kilobytes of repeated long texts decode to gigabytes. Text columns are read as dictionaries, each
value once, so that the decoded size of a batch is known exactly before it is decoded, and it is decoded in slices.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from schemas.errors import DataError
from tasks.sources._places import Place, opened

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 2**18
_SLICE = 128 * 2**20  # decoded bytes that are made at once


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


def header(place: Place) -> list[str]:
    """Column names of the file."""
    with opened(place) as stream:
        return list(_open(stream, place).schema_arrow.names)


def _repeating(file: Any, wanted: list[str]) -> list[str]:
    """Text columns that are stored as dictionaries: the ones that can decode to far more than they are."""
    import pyarrow as pa

    if not file.metadata.num_row_groups:
        return []
    schema, group = file.schema_arrow, file.metadata.row_group(0)
    chunks = (group.column(number) for number in range(group.num_columns))
    coded = {chunk.path_in_schema for chunk in chunks if chunk.has_dictionary_page}
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return [name for name in wanted if name in coded and any(kind(schema.field(name).type) for kind in kinds)]


def batches(place: Place, wanted: list[str]) -> "Iterator[pa.RecordBatch]":
    """The wanted columns in batches of bounded decoded size.

    Raises:
        DataError: the file is damaged.
    """
    import pyarrow as pa

    with opened(place) as stream:
        repeating = _repeating(_open(stream, place), wanted)
        stream.seek(0)
        file = _open(stream, place, read_dictionary=repeating)
        try:
            for batch in file.iter_batches(batch_size=_ROWS, columns=wanted):
                yield from _decoded(batch)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise DataError(f"{place.name} is damaged: {' '.join(str(error).split())[:160]}") from None


def decoded_bytes(batch: "pa.RecordBatch") -> int:
    """Bytes of the batch once its dictionaries are decoded, without decoding them."""
    import pyarrow as pa
    from pyarrow import compute

    total = 0
    for array in batch.columns:
        if pa.types.is_dictionary(array.type):
            lengths = compute.binary_length(array.dictionary)
            total += compute.sum(lengths.take(array.indices).cast(pa.int64())).as_py() or 0
        else:
            total += array.nbytes
    return total


def _decoded(batch: "pa.RecordBatch") -> "Iterator[pa.RecordBatch]":
    """The batch with plain columns, in slices of bounded size."""
    import pyarrow as pa

    coded = [name for name in batch.schema.names if pa.types.is_dictionary(batch.schema.field(name).type)]
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
        array = batch.column(place)
        batch = batch.set_column(place, name, array.cast(array.type.value_type))
    yield batch
