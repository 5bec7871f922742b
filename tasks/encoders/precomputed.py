"""Vectors that come with items or users: images, audio, video, any modality, joined by id.

The ids take the place of texts: with `texts.template: "{item_id}"` a user's vector is the weighted mean over the
vectors of the items that the user consumed. An id without a vector gives a row of NaN, which the mean leaves out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.errors import DataError
from tasks.encoders._base import Progress, check_texts, fingerprint
from tasks.encoders._safety import sha256_of

VERSION = "1"
_WINDOW = 4096  # ids looked up at once


class Config(Section):
    """Where the vectors lie."""

    kind: Literal["precomputed"] = "precomputed"
    path: str = Field("", description="Parquet with a column of ids and one of vectors (lists of equal length)")
    id_column: str = Field("item_id", description="column that holds the ids")
    vector_column: str = Field("vector", description="column that holds the vectors")
    normalise: bool = Field(True, description="scale vectors to length 1")


class PrecomputedEncoder:
    """The vectors of one file, found by id.

    Attributes:
        dim: Width of the vectors.
        fingerprint: Sha256 (hex) of the file's content and the config's other fields.
    """

    def __init__(self, ids: list[str], vectors: np.ndarray, digest: str) -> None:
        self.dim = int(vectors.shape[1])
        self.fingerprint = digest
        self._rows = {key: row for row, key in enumerate(ids)}
        # One more row, which the ids that are unknown take.
        self._vectors = np.concatenate([vectors, np.full((1, self.dim), np.nan, dtype=np.float32)])

    def lookup(self, ids: list[str]) -> np.ndarray:
        """Vectors (n, dim) float32 of `ids`, in order; a row of NaN where an id has none."""
        check_texts(ids)
        unknown = len(self._vectors) - 1
        return self._vectors[[self._rows.get(key, unknown) for key in ids]]

    def encode(self, texts: list[str], progress: Progress | None = None) -> np.ndarray:
        """The same as `lookup`: here a text is an id."""
        vectors = self.lookup(texts)
        if progress is not None:
            progress(len(texts), len(texts))
        return vectors

    def encode_batches(self, texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (indices into `texts`, their vectors (b, dim) float32); here a text is an id."""
        for start in range(0, len(texts), _WINDOW):
            window = texts[start : start + _WINDOW]
            yield np.arange(start, start + len(window)), self.lookup(window)


def load(config: Config, device: str = "auto") -> PrecomputedEncoder:
    """Reads the file; `device` is accepted as everywhere and makes no difference.

    Raises:
        DataError: the file or a column is missing, an id repeats, or vectors differ in length or are not finite.
    """
    ids, vectors = _read(config)
    repeated = len(ids) - len(set(ids))
    if repeated:
        raise DataError(f"{config.path}: {config.id_column} repeats {repeated} ids: give each id one vector")
    if not len(ids) or not np.isfinite(vectors).all():
        raise DataError(
            f"{config.path}: {config.vector_column} is empty or holds NaN or infinity: mend or drop the rows"
        )
    if config.normalise:
        length = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
        vectors = (vectors / np.maximum(length, 1e-12)).astype(np.float32)
    facts = config.model_dump(mode="json", exclude={"path"})
    digest = fingerprint({"engine": f"precomputed-{VERSION}", "content": sha256_of(Path(config.path)), **facts})
    return PrecomputedEncoder(ids, vectors, digest)


def _read(config: Config) -> tuple[list[str], np.ndarray]:
    """Ids as str and vectors (n, d) float32, as they stand in the file."""
    import polars as pl

    wanted = [config.id_column, config.vector_column]
    try:
        frame = pl.read_parquet(config.path, columns=wanted)
    except (OSError, pl.exceptions.PolarsError) as error:
        line = str(error).strip().splitlines()[0]
        raise DataError(f"{config.path!r}: cannot read columns {', '.join(wanted)} as Parquet ({line})") from None
    ids, column = frame.get_column(config.id_column).cast(pl.String), frame.get_column(config.vector_column)
    if ids.null_count() or column.null_count() or not isinstance(column.dtype, pl.List | pl.Array):
        raise DataError(f"{config.path}: {', '.join(wanted)} must be ids and lists of numbers, none of them empty")
    lists = column.cast(pl.List(pl.Float32))
    widths = lists.list.len().unique().to_list()
    if len(widths) > 1 or 0 in widths:
        raise DataError(
            f"{config.path}: {config.vector_column} has vectors of {len(widths)} lengths: give all the same"
        )
    width = widths[0] if widths else 1
    return ids.to_list(), lists.explode(empty_as_null=False).to_numpy().reshape(len(frame), width)
