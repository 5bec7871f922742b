"""Frames as the blocks that the representation reads: the one place where training and serving do so."""

from typing import TYPE_CHECKING

import numpy as np

from schemas.tables import VECTOR

if TYPE_CHECKING:
    import polars as pl

TEXT_BLOCK = "text"


def feature_block(frame: "pl.DataFrame") -> np.ndarray:
    """(n, d) float32 of a family's frame (its first column is the user), NaN where a value is missing."""
    import polars as pl

    values = frame.select(frame.columns[1:]).cast(pl.Float32).fill_null(float("nan"))
    return np.ascontiguousarray(values.to_numpy(), dtype=np.float32).reshape(len(frame), frame.width - 1)


def text_block(frame: "pl.DataFrame") -> np.ndarray:
    """(n, d) float32 of a frame with a column of equally long vectors."""
    import polars as pl

    if frame.is_empty():
        return np.zeros((0, 0), np.float32)
    vectors = frame.get_column(VECTOR)
    width = len(vectors[0])
    return vectors.cast(pl.Array(pl.Float32, width)).to_numpy().reshape(len(frame), width)
