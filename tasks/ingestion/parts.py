"""Append-only part files of a shuffle: one Arrow stream per bucket, on disk until the bucket is finished."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


def part_file(folder: Path, bucket: int) -> Path:
    """File of one bucket's unfinished rows."""
    return folder / f"part-{bucket:04d}.arrow"


Item = TypeVar("Item")
_END: Any = object()


def ahead(items: "Iterable[Item]") -> "Iterator[Item]":
    """The items, of which the next one is made by another thread (always the same) while one is worked on."""
    source = iter(items)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, source, _END)
        while (item := coming.result()) is not _END:
            coming = reader.submit(next, source, _END)
            yield item


class Parts:
    """Open part files of one table; rows keep the order in which they were appended, by a thread of its own."""

    def __init__(self, folder: Path, buckets: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._buckets = folder, buckets
        self._writers: list[Any] = []
        self._thread = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None

    def append(self, frames: "Sequence[pl.DataFrame]") -> None:
        """Appends each bucket's rows to its file; all frames share one schema, always the same.

        It returns once the frames before these are written; what went wrong with them is raised here, or at the end.
        """
        if self._last is not None:
            self._last.result()
        self._last = self._thread.submit(self._append, frames)

    def _append(self, frames: "Sequence[pl.DataFrame]") -> None:
        import polars as pl
        import pyarrow as pa

        oldest = pl.CompatLevel.oldest()
        if not self._writers:
            schema = frames[0].clear().to_arrow(compat_level=oldest).schema
            paths = (str(part_file(self._folder, bucket)) for bucket in range(self._buckets))
            self._writers = [pa.ipc.new_stream(path, schema) for path in paths]
        for writer, frame in zip(self._writers, frames, strict=True):
            if len(frame):
                writer.write_table(frame.to_arrow(compat_level=oldest))

    def __enter__(self) -> "Parts":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown()
        for writer in self._writers:
            writer.close()
        if self._last is not None and error is None:
            self._last.result()


def read_part(folder: Path, bucket: int) -> "pl.DataFrame":
    """All rows of one bucket, in order."""
    import polars as pl
    import pyarrow as pa

    with pa.memory_map(str(part_file(folder, bucket))) as source, pa.ipc.open_stream(source) as stream:
        frame = pl.from_arrow(stream.read_all())
    assert isinstance(frame, pl.DataFrame)
    return frame


def read_part_column(folder: Path, buckets: int, column: str) -> "np.ndarray":
    """One numeric column over all buckets, without the others in memory."""
    import numpy as np
    import pyarrow as pa

    pieces = [np.empty(0)]
    for bucket in range(buckets):
        with pa.memory_map(str(part_file(folder, bucket))) as source, pa.ipc.open_stream(source) as stream:
            pieces += [batch[column].to_numpy(zero_copy_only=False) for batch in stream]
    return np.concatenate(pieces)
