"""A small network whose outputs do not depend on the batch: a row alone and among a million gives the same bits.

Weights are integers of 20 bits times a power of two, and so are the rows before each product, so that every partial sum
is an integer below 2^53: float64 adds them without rounding, in any order and on any processor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.clusterers._distances import chunk_rows

WEIGHT_BITS, EXACT_BITS = 20, 53


@dataclass(frozen=True)
class Layer:
    """One layer: rows times weights, plus offsets.

    Attributes:
        whole: (a, b) int32, at most 2^20 in size.
        exponent: the weights are `whole` × 2^exponent.
        offsets: (b,) float64.
    """

    whole: np.ndarray
    exponent: int
    offsets: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray, offsets: np.ndarray) -> "Layer":
        """Weights (a, b) rounded to 20 bits of the largest, and offsets (b,)."""
        exponent = int(np.frexp(np.abs(weights).max())[1]) - WEIGHT_BITS
        whole = np.rint(np.ldexp(weights.astype(np.float64), -exponent)).astype(np.int32)
        return cls(whole, exponent, offsets.astype(np.float64))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, a) float64, each rounded to the bits that keep its sums exact, through the layer: (n, b) float64."""
        bits = EXACT_BITS - WEIGHT_BITS - int(np.ceil(np.log2(self.whole.shape[0])))
        top = np.frexp(np.abs(rows).max(axis=1, keepdims=True))[1]
        sums = np.rint(np.ldexp(rows, bits - top)) @ self.whole.astype(np.float64)
        return np.ldexp(sums, top - bits + self.exponent) + self.offsets


def through(rows: np.ndarray, layers: Sequence[Layer]) -> np.ndarray:
    """Rows (n, d) float64 through layers with rectified ones between them: (n, l) float64."""
    found = np.empty((len(rows), layers[-1].whole.shape[1]))
    step = chunk_rows(max(max(layer.whole.shape) for layer in layers))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        for number, layer in enumerate(layers):
            part = layer(part if number == 0 else np.maximum(part, 0.0))
        found[start : start + step] = part
    return found


def layer_arrays(layers: Sequence[Layer]) -> dict[str, np.ndarray]:
    """The layers as numeric arrays."""
    found = {"exponents": np.array([layer.exponent for layer in layers], np.int64)}
    for number, layer in enumerate(layers):
        found |= {f"weights{number}": layer.whole, f"offsets{number}": layer.offsets}
    return found


def layers_of(arrays: dict[str, np.ndarray]) -> tuple[Layer, ...]:
    """The layers again, from `layer_arrays`."""
    return tuple(
        Layer(arrays[f"weights{number}"], int(exponent), arrays[f"offsets{number}"])
        for number, exponent in enumerate(arrays["exponents"])
    )
