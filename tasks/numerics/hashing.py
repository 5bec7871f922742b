"""Scrambling of whole numbers, the same on every machine, and hashes of rows, for one machine."""

from typing import TYPE_CHECKING

import numpy as np

from schemas.tables import SEQUENCE

if TYPE_CHECKING:
    import polars as pl

_GAMMA, _FIRST, _SECOND = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


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
