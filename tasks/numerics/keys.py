"""What stands for what: strings as positions and as arrays of numbers, whole numbers scrambled, rows hashed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.tables import SEQUENCE

if TYPE_CHECKING:
    import polars as pl

_GAMMA, _FIRST, _SECOND = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def locate(haystack: "pl.Series", needles: "pl.Series") -> np.ndarray:
    """(n,) int64 positions of `needles` in `haystack` (distinct strings), −1 where it is not there."""
    import polars as pl

    if len(haystack) == len(needles) and haystack.equals(needles, check_names=False):
        return np.arange(len(needles), dtype=np.int64)
    index = pl.DataFrame({"key": haystack.cast(pl.String), "at": np.arange(len(haystack), dtype=np.int64)})
    asked = pl.DataFrame({"key": needles.cast(pl.String)})
    return asked.join(index, on="key", how="left", maintain_order="left")["at"].fill_null(-1).to_numpy()


def pack_strings(values: Sequence[str], name: str) -> dict[str, np.ndarray]:
    """Strings as numeric arrays of a `State`: UTF-8 bytes `<name>_bytes` and (n + 1,) offsets `<name>_offsets`."""
    encoded = [value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    offsets[1:] = np.cumsum([len(value) for value in encoded], dtype=np.int64)
    return {f"{name}_bytes": np.frombuffer(b"".join(encoded), np.uint8).copy(), f"{name}_offsets": offsets}


def unpack_strings(arrays: Mapping[str, Any], name: str) -> "pl.Series":
    """The strings that `pack_strings` packed under `name`, as a Polars string series."""
    import polars as pl
    import pyarrow as pa

    offsets, data = arrays[f"{name}_offsets"], arrays[f"{name}_bytes"]
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(np.ascontiguousarray(data))]
    return pl.Series(name, pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers), dtype=pl.String)


def splitmix64(state: np.ndarray) -> np.ndarray:
    """One step of SplitMix64 (Steele, Lea and Flood 2014), elementwise on (n,) uint64; overflow is meant."""
    with np.errstate(over="ignore"):
        state = state + _GAMMA
        state = (state ^ (state >> np.uint64(30))) * _FIRST
        state = (state ^ (state >> np.uint64(27))) * _SECOND
        return state ^ (state >> np.uint64(31))


def row_hashes(frame: "pl.DataFrame", seed: int = 0) -> "pl.Series":
    """(n,) uint64 hashes of what the source says in each row; its row number, which says nothing more, is left out.

    Equal rows have equal hashes wherever they stand: a category is hashed as its word, not as its code. They are those
    of this machine and of this release of Polars.
    """
    import polars as pl
    import polars.selectors as cs

    words = (cs.categorical() | cs.enum()).cast(pl.String)
    return frame.drop(SEQUENCE, strict=False).with_columns(words).hash_rows(seed)
