"""Fast K-Means in memory: bounds tell which rows may change their segment, and only these are compared.

Paper: Hamerly 2010, Making k-means even faster; here with float32 products over chunks that fit the cache. Also the
labels of a finished fit: float32 products where they are certain, float64 differences where they are not.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from tasks.clusterers._distances import nearest

CHUNK = 2048
FEW = 4096  # rows below which threads cost more than they bring
TRIAL = 6  # iterations after which bounds that spare little are given up
SPARED = 0.5  # share of rows that may be compared for the bounds to pay

Spread = Callable[[Callable[[Any], Any], list[Any]], list[Any]]


@contextmanager
def _threads() -> Iterator[tuple[int, Spread]]:
    """A map over as many threads as torch uses, each thread with products of its own."""
    many = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(many, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield many, lambda call, items: list(pool.map(call, items))
    finally:
        torch.set_num_threads(many)


def _shares(n: int, many: int) -> list[slice]:
    edges = np.linspace(0, n, (many if n >= FEW else 1) + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges)]


class Moves(NamedTuple):
    """What one pass over a share changed: segment sums (k, d), counts (k,), rows moved, rows compared."""

    sums: torch.Tensor
    counts: torch.Tensor
    moved: int
    compared: int


class Share:
    """Rows with their segment, an upper bound to their centroid and a lower bound to every other."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows
        self.squares = torch.einsum("ij,ij->i", rows, rows)
        self.labels = torch.full((len(rows),), -1)
        self.upper, self.lower = torch.empty(len(rows)), torch.empty(len(rows))

    def visit(self, centroids: torch.Tensor, shift: torch.Tensor | None) -> Moves:
        """Compare the rows whose bounds allow another segment, after the centroids (k, d) moved by `shift` (k,)."""
        k = len(centroids)
        sums, counts = torch.zeros(centroids.shape, dtype=torch.float64), torch.zeros(k, dtype=torch.float64)
        left, sizes = -2 * centroids, torch.einsum("ij,ij->i", centroids, centroids)[:, None]
        open_ = None if shift is None else self._open(centroids, shift)
        moved, n = 0, len(self.rows) if open_ is None else len(open_)
        for start in range(0, n, CHUNK):
            at: Any = slice(start, start + CHUNK) if open_ is None else open_[start : start + CHUNK]
            rows = self.rows[at] if open_ is None else self.rows.index_select(0, at)
            rough = torch.addmm(sizes, left, rows.T)
            least, labels = rough.min(0)
            rough.scatter_(0, labels[None], np.inf)
            self.upper[at] = (least + self.squares[at]).clamp_(min=0).sqrt_()
            self.lower[at] = (rough.amin(0) + self.squares[at]).clamp_(min=0).sqrt_()
            changed = torch.nonzero(labels != self.labels[at])[:, 0]
            if len(changed):
                hot = _signs(k, labels[changed], self.labels[at][changed])
                sums += hot @ rows.index_select(0, changed)
                counts += hot.sum(1)
                moved += len(changed)
                self.labels[at] = labels
        return Moves(sums, counts, moved, n)

    def _open(self, centroids: torch.Tensor, shift: torch.Tensor) -> torch.Tensor | None:
        first, second = torch.cat([shift, shift.new_zeros(1)]).topk(2).values
        self.upper += shift[self.labels]
        self.lower -= torch.where(shift == first, second, first)[self.labels]
        apart = torch.cdist(centroids, centroids).fill_diagonal_(np.inf).amin(1) / 2
        open_ = torch.nonzero(self.upper > torch.maximum(self.lower, apart[self.labels]))[:, 0]
        return None if len(open_) > SPARED * len(self.rows) else open_


def _signs(k: int, new: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """(k, m): 1 at the segment a row came to, −1 at the one it left, if it was in any."""
    hot = torch.zeros(k + 1, len(new))
    hot.scatter_(0, torch.where(old < 0, k, old)[None], -1.0)
    return hot.scatter_(0, new[None], 1.0)[:k]


def bounded_lloyd(X: np.ndarray, start: np.ndarray, max_iter: int, tol: float) -> tuple[np.ndarray, int, bool]:
    """Lloyd's iterations with bounds.

    Args:
        X: (n, d) float32 rows, near the origin if products are to be precise.
        start: (k, d) centroids.
        max_iter: iterations at most.
        tol: summed squared movement at which it has settled.

    Returns:
        centroids (k, d) float32, iterations done, and whether it is finished: else a segment became empty, or the
        bounds spare too little, and plain iterations from these centroids are the better way on.
    """
    centroids, shift = torch.from_numpy(np.ascontiguousarray(start, np.float32)), None
    rows = torch.from_numpy(X)
    sums, counts = torch.zeros(centroids.shape, dtype=torch.float64), torch.zeros(len(centroids), dtype=torch.float64)
    with _threads() as (many, spread):
        shares = spread(lambda part: Share(rows[part]), _shares(len(X), many))
        for iteration in range(1, max_iter + 1):
            here, by = centroids, shift
            moves = spread(lambda share, c=here, s=by: share.visit(c, s), shares)  # type: ignore[misc]
            sums += sum(move.sums for move in moves)
            counts += sum(move.counts for move in moves)
            if bool((counts == 0).any()):
                return centroids.numpy(), iteration - 1, False
            centroids = (sums / counts[:, None]).float()
            shift = (centroids - here).norm(dim=1)
            if float(shift.square().sum()) <= tol or not sum(move.moved for move in moves):
                return centroids.numpy(), iteration, True
            if iteration >= TRIAL and sum(move.compared for move in moves) > SPARED * len(X):
                return centroids.numpy(), iteration, iteration == max_iter
    return centroids.numpy(), max_iter, True


def label_rows(X: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, float]:
    """The labels (n,) that `nearest` gives X (n, d) under Euclid, and the squared inertia, without its distances."""
    rows, targets = torch.from_numpy(X), torch.from_numpy(np.ascontiguousarray(centroids, np.float32))
    with _threads() as (many, spread):
        parts = spread(lambda part: _label_share(rows[part], targets), _shares(len(X), many))
    labels = np.concatenate([part[0] for part in parts])
    doubt = np.concatenate([part[1] for part in parts])
    squares = np.concatenate([part[2] for part in parts])
    if doubt.any():
        labels[doubt], distance, _ = nearest(X[doubt], centroids, "euclidean")
        squares[doubt] = np.square(distance)
    return labels, float(squares.sum())


def _label_share(rows: torch.Tensor, targets: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, error = len(rows), 4.0 * (rows.shape[1] + 8) * float(np.finfo(np.float32).eps)
    labels, doubt, squares = np.empty(n, np.int32), np.zeros(n, bool), np.empty(n)
    left, sizes = -2 * targets, torch.einsum("ij,ij->i", targets, targets)[:, None]
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        rough = torch.addmm(sizes, left, rows[part].T)
        least, nearest_ = rough.min(0)
        rough.scatter_(0, nearest_[None], np.inf)
        own = torch.einsum("ij,ij->i", rows[part], rows[part])
        doubt[part] = ~(rough.amin(0) - least > 2 * error * (own + sizes.max())).numpy()
        labels[part] = nearest_.numpy()
        away = rows[part] - targets.index_select(0, nearest_)
        squares[part] = torch.einsum("ij,ij->i", away, away).numpy()
    return labels, doubt, squares
