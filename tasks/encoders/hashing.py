"""Hashed character n-grams: deterministic, without a model; the control that a language model must beat.

Each n-gram of the lower-cased NFKC text adds +1 or -1 to one of `dimension` places, both chosen by its hash: a sparse
random projection of the n-gram counts (Weinberger et al. 2009, "Feature hashing for large scale multitask learning").
No words are assumed, so Chinese works as English does.
"""

import unicodedata
from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from schemas.config import Positive, Section
from tasks.encoders._base import Progress, check_texts, collect, fingerprint
from tasks.numerics.keys import splitmix64

VERSION = "1"
_WINDOW = 4096  # texts hashed at once
_EDGE = 0x110000  # marks both ends of a text; above every code point


class Config(Section):
    """Width and n-grams of the hashing encoder."""

    kind: Literal["hashing"] = "hashing"
    dimension: Positive = Field(384, description="places that n-grams are hashed to")
    shortest: Positive = Field(1, description="shortest n-gram, characters")
    longest: Positive = Field(4, description="longest n-gram, characters")
    seed: int = Field(0, ge=0, description="another seed is another projection")


class HashingEncoder:
    """The encoder of this file; vectors have length 1, and a text without characters is all zeros."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.dim = config.dimension
        self.fingerprint = fingerprint({"engine": f"hashing-{VERSION}", **config.model_dump(mode="json")})

    def encode(self, texts: list[str], progress: Progress | None = None) -> np.ndarray:
        """Vectors of `texts`, in order, as (n, dim) float32."""
        return collect(self, texts, progress)

    def encode_batches(self, texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (indices into `texts`, their vectors (b, dim) float32)."""
        check_texts(texts)
        for start in range(0, len(texts), _WINDOW):
            window = texts[start : start + _WINDOW]
            yield np.arange(start, start + len(window)), self._encode(window)

    def _encode(self, texts: list[str]) -> np.ndarray:
        points, owner = _code_points(texts)
        sums = np.zeros(len(texts) * self.dim)
        state = splitmix64(np.full(len(points), self._config.seed + 1, dtype=np.uint64))
        for n in range(1, self._config.longest + 1):
            width = len(points) - n + 1
            if width <= 0:
                break
            state = splitmix64(state[:width] ^ points[n - 1 :])
            if n < self._config.shortest:
                continue
            inside = owner[:width] == owner[n - 1 :]
            hashed = state[inside]
            place = owner[:width][inside] * self.dim + (hashed >> np.uint64(1)).astype(np.int64) % self.dim
            sign = 1.0 - 2.0 * (hashed & np.uint64(1)).astype(np.float64)
            sums += np.bincount(place, weights=sign, minlength=len(sums))
        vectors = sums.reshape(len(texts), self.dim)
        length = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
        return (vectors / np.where(length > 0, length, 1.0)).astype(np.float32)


def _code_points(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Code points of all texts in a row, with an edge on both sides of each text, and the text each belongs to."""
    folded = [unicodedata.normalize("NFKC", text).lower() for text in texts]
    parts: list[np.ndarray] = []
    for text in folded:
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        parts.append(np.concatenate([[_EDGE], points, [_EDGE]]).astype(np.uint64) if len(points) else points[:0])
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    flat = np.concatenate(parts).astype(np.uint64) if parts else np.zeros(0, dtype=np.uint64)
    return flat, np.repeat(np.arange(len(texts)), sizes)


def load(config: Config, device: str = "auto") -> HashingEncoder:
    """The encoder; `device` is accepted as everywhere and makes no difference."""
    return HashingEncoder(config)
