"""Randomness that depends on (seed, stream, user, counter) alone, so that batches and sizes don't change anyone."""

import zlib

import numpy as np

from tasks.numerics.keys import splitmix64

_SPREAD, _STEP = np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)


def bits(seed: int, stream: str, index: np.ndarray, counter: "np.ndarray | int" = 0) -> np.ndarray:
    """(n,) uint64 by SplitMix64 (Steele, Lea and Flood 2014) of the inputs.

    Args:
        seed: Seed of everything.
        stream: Name of what is drawn.
        index: (n,) user, item or row numbers.
        counter: (n,) or scalar, the how-many-th draw.
    """
    salt = np.uint64((zlib.crc32(stream.encode()) << 32 | zlib.crc32(f"{seed}".encode())) & (2**64 - 1))
    with np.errstate(over="ignore"):
        drawn = splitmix64(index.astype(np.uint64) * _SPREAD ^ salt)
        return splitmix64(drawn + np.asarray(counter).astype(np.uint64) * _STEP)


def uniform(seed: int, stream: str, index: np.ndarray, counter: "np.ndarray | int" = 0) -> np.ndarray:
    """(n,) float64 in [0, 1)."""
    return (bits(seed, stream, index, counter) >> np.uint64(11)) * 2.0**-53


def normal(seed: int, stream: str, index: np.ndarray, counter: "np.ndarray | int" = 0) -> np.ndarray:
    """(n,) float64, nearly standard normal: a sum of four uniforms, scaled; never beyond 3.5."""
    word = bits(seed, stream, index, counter)
    total = sum(((word >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.float64) for shift in (0, 16, 32, 48))
    return (np.asarray(total) / 65536 - 2) * np.sqrt(3.0)
