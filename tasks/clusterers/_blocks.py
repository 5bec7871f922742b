"""Row blocks of an array or of a Dask array, and work on pairs of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.clusterers._common import check_rows, is_dask, row_blocks


@dataclass
class Blocks:
    """Row blocks behind one face.

    Attributes:
        parts: arrays in memory, or Dask's delayed arrays.
        starts: (b + 1,) first row of each block, and n.
        lazy: whether the parts are delayed.
    """

    parts: list[Any]
    starts: np.ndarray
    lazy: bool

    @property
    def n(self) -> int:
        """Rows in all."""
        return int(self.starts[-1])

    def rows(self, block: int) -> slice:
        """The rows of a block among all rows."""
        return slice(int(self.starts[block]), int(self.starts[block + 1]))

    def size(self, block: int) -> int:
        """How many rows a block has."""
        return int(self.starts[block + 1] - self.starts[block])

    def run(self, calls: Sequence[tuple[Callable[..., Any], tuple[int, ...], tuple[Any, ...]]]) -> list[Any]:
        """Results of kernel(*blocks, *others) for each (kernel, block numbers, others); on Dask as one graph."""
        if not self.lazy:
            return [kernel(*[self.parts[b] for b in which], *others) for kernel, which, others in calls]
        import dask

        # A kernel gets the blocks it names and small arrays only: a worker never holds more than two blocks a thread.
        tasks = [dask.delayed(kernel)(*[self.parts[b] for b in which], *others) for kernel, which, others in calls]
        return list(dask.compute(*tasks))

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The given sorted rows (m, d) of X, in memory."""
        edges = np.searchsorted(rows, self.starts)
        calls = [(_take, (b,), (rows[edges[b] : edges[b + 1]] - self.starts[b],)) for b in range(len(self.parts))]
        return np.concatenate(self.run(calls))


def _take(block: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return block[rows]


def blocks_of(X: Any) -> Blocks:
    """X as blocks: one of an array in memory, those of a Dask array; values are checked as each block is read."""
    if not is_dask(X):
        X = check_rows(X)
        return Blocks([X], np.array([0, len(X)]), lazy=False)
    import dask

    found = row_blocks(X)
    parts = [dask.delayed(_read)(block, start) for block, start, _ in found]
    return Blocks(parts, np.append(0, np.cumsum([size for *_, size in found])), lazy=True)


def _read(block: Any, start: int) -> np.ndarray:
    return check_rows(np.asarray(block), start=start)
