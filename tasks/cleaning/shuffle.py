"""Which bucket a user belongs to: a hash that is the same in every process, version and language.

The bucket of an id is mix(FNV-1a 64 of its UTF-8 bytes) mod B, where mix is MurmurHash3's 64-bit finaliser (FNV's low
bits alone are uneven for ids that differ at the end). Polars' and Python's own hashes change between versions and runs.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))


def hash64(ids: "pl.Series") -> np.ndarray:
    """64-bit hashes of ids, (n,) uint64. Time is linear in the bytes; longest ids cost most, so ids are short."""
    import pyarrow as pa

    array = ids.to_arrow().cast(pa.large_string())
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return np.full(len(array), _BASIS, np.uint64)
    ends = np.frombuffer(offsets, np.int64, len(array) + 1, 8 * array.offset)
    content = np.frombuffer(data, np.uint8)
    starts, lengths = ends[:-1], np.diff(ends)
    hashes = np.full(len(array), _BASIS, np.uint64)
    common = int(lengths.min())
    for place in range(int(lengths.max())):
        if place < common:
            np.multiply(hashes ^ content[starts + place], _PRIME, out=hashes)
        else:
            rest = np.flatnonzero(lengths > place)
            hashes[rest] = (hashes[rest] ^ content[starts[rest] + place]) * _PRIME
    for factor in _MIX:
        hashes ^= hashes >> np.uint64(33)
        hashes *= factor
    return hashes ^ (hashes >> np.uint64(33))


def bucket_of(ids: "pl.Series", buckets: int) -> np.ndarray:
    """Bucket number of each id, (n,) uint16 in [0, buckets)."""
    return (hash64(ids) % np.uint64(buckets)).astype(np.uint16)


def partition(frame: "pl.DataFrame", key: str, buckets: int) -> "list[pl.DataFrame]":
    """The rows of each bucket, in the order they came.

    Args:
        frame: Any frame.
        key: Column of text ids without nulls.
        buckets: How many; at most 65,536.
    """
    if buckets == 1:
        return [frame]
    numbers = bucket_of(frame[key], buckets)
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers, minlength=buckets))
    sorted_frame = frame[order]
    return [sorted_frame[int(start) : int(end)] for start, end in zip((0, *ends[:-1]), ends, strict=True)]
