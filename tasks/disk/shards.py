"""A shard of the cache of embeddings as a file: a header, keys and float16 vectors, both with their sums."""

import os
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from schemas.errors import DataError

KEY = np.dtype("S16")
HEADER = np.dtype([("magic", "S8"), ("rows", "<u8"), ("dim", "<u8"), ("check", "<u8")])
_MAGIC, _EARLIER = b"fenqun2", b"fenqun1"
"""Shards of now, whose `check` holds CRC-32s of keys (low half) and vectors (high); and of keys alone, as they were."""


@dataclass(frozen=True)
class Shard:
    """A file and the keys in it."""

    file: Path
    keys: np.ndarray


def to_bytes(keys: np.ndarray, vectors: np.ndarray) -> bytes:
    """A shard of keys (n,) and float16 vectors (n, dim)."""
    named, numbers = keys.tobytes(), vectors.tobytes()
    check = zlib.crc32(named) | zlib.crc32(numbers) << 32
    header = np.array([(_MAGIC, len(keys), vectors.shape[1], check)], dtype=HEADER)
    return header.tobytes() + named + numbers


def read_keys(file: Path, dim: int) -> np.ndarray:
    """Keys of a shard, checked against its header and size.

    Raises:
        DataError: the file is damaged, or is another encoder's.
    """
    with file.open("rb") as stream:
        header = _header(stream.read(HEADER.itemsize))
        if header is None or header["dim"] != dim:
            raise DataError(f"no shard of {dim}-wide vectors")
        rows = int(header["rows"])
        if file.stat().st_size != HEADER.itemsize + rows * (KEY.itemsize + 2 * dim):
            raise DataError("its size is another")
        keys = stream.read(rows * KEY.itemsize)
    if zlib.crc32(keys) != int(header["check"]) & 0xFFFFFFFF:
        raise DataError("its keys are not what was written")
    return np.frombuffer(keys, dtype=KEY)


def _header(head: bytes) -> np.void | None:
    """A shard's header; None where it is none."""
    if len(head) != HEADER.itemsize:
        return None
    header: np.void = np.frombuffer(head, dtype=HEADER)[0]
    whole = header["magic"] == _MAGIC or (header["magic"] == _EARLIER and not int(header["check"]) >> 32)
    return header if whole else None


def vectors_whole(shard: Shard) -> bool:
    """Whether a shard's vectors are those that were written; asked once per process for a file that stays as it is."""
    try:
        facts = shard.file.stat()
        return _sums_right(shard.file, len(shard.keys), facts.st_ino, facts.st_size, facts.st_mtime_ns)
    except FileNotFoundError:  # set aside by whoever found it too
        return False


@lru_cache(maxsize=100_000)
def _sums_right(file: Path, rows: int, *_facts: int) -> bool:
    with file.open("rb") as stream:
        header = _header(stream.read(HEADER.itemsize))
        if header is None or header["rows"] != rows:
            return False
        stream.seek(rows * KEY.itemsize, os.SEEK_CUR)
        return bool(header["magic"] == _EARLIER or zlib.crc32(stream.read()) == int(header["check"]) >> 32)
