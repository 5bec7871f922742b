"""Lloyd's iterations over row blocks, in memory or on Dask, plain or spherical, and where they start.

Papers: Lloyd 1982; k-means++, Arthur and Vassilvitskii 2007; spherical k-means, Dhillon and Modha 2001.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import DataError
from tasks.clusterers._common import check_known, check_rows, is_dask, row_blocks
from tasks.clusterers._distances import Space, unit_rows

if TYPE_CHECKING:
    import torch

Sums = tuple[np.ndarray, np.ndarray, float, np.ndarray, np.ndarray]
Sweep = Callable[[Callable[[np.ndarray], Any]], list[Any]]


def sweeper(X: Any, space: Space, device: str = "cpu") -> Sweep:
    """A function that maps a kernel over the row blocks of X (an array, or a Dask array), results in row order.

    On another device than the CPU the blocks are torch tensors there, whose kernel is `partial_sums` too.
    """

    def rows(block: np.ndarray, start: int = 0) -> np.ndarray:
        block = check_rows(np.asarray(block), start=start)
        return unit_rows(block).astype(np.float32) if space == "cosine" else block

    if not is_dask(X):
        whole = rows(X)
        if device != "cpu":
            import torch

            there = torch.from_numpy(whole).to(device).split(1 << 17)
            return lambda kernel: [kernel(block) for block in there]
        step = max(4096, (1 << 22) // whole.shape[1])
        return lambda kernel: [kernel(whole[i : i + step]) for i in range(0, len(whole), step)]
    import dask

    blocks = row_blocks(X)
    # The kernel reads the block inside its task, so that a worker holds a few blocks at a time and hands back sums.
    return lambda kernel: list(
        dask.compute(
            *[dask.delayed(lambda b, at, f=kernel: f(rows(b, at)))(block, start) for block, start, _ in blocks]
        )
    )


def partial_sums(rows: Any, centroids: np.ndarray) -> Sums:
    """Per-segment sums (k, d) and counts (k,) of a block, its inertia, its k farthest rows and their squares."""
    if not isinstance(rows, np.ndarray):
        return tensor_sums(rows, centroids)
    k = len(centroids)
    rough = rows @ (-2 * centroids.T)
    rough += np.square(centroids).sum(axis=1)
    labels = rough.argmin(axis=1)
    squares = rough[np.arange(len(rows)), labels] + np.einsum("ij,ij->i", rows, rows)
    hot = np.zeros((len(rows), k), np.float32)
    hot[np.arange(len(rows)), labels] = 1
    far = np.argsort(-squares, kind="stable")[:k] if len(rows) <= k else np.argpartition(-squares, k - 1)[:k]
    inertia = float(np.maximum(squares, 0).sum(dtype=np.float64))
    return (hot.T @ rows).astype(np.float64), np.bincount(labels, minlength=k), inertia, rows[far], squares[far]


def tensor_sums(rows: "torch.Tensor", centroids: np.ndarray) -> Sums:
    """The same of a torch tensor, on its device."""
    import torch

    targets = torch.from_numpy(centroids).to(rows.device)
    least, labels = torch.addmm(torch.einsum("ij,ij->i", targets, targets), rows, -2 * targets.T).min(dim=1)
    squares = least + torch.einsum("ij,ij->i", rows, rows)
    sums = torch.zeros_like(targets).index_add_(0, labels, rows)
    counts = torch.bincount(labels, minlength=len(centroids))
    worst, far = squares.topk(min(len(centroids), len(rows)))
    inertia = float(squares.clamp(min=0).sum(dtype=torch.float64))
    return sums.double().cpu().numpy(), counts.cpu().numpy(), inertia, rows[far].cpu().numpy(), worst.cpu().numpy()


def _move(parts: list[Sums], centroids: np.ndarray, space: Space) -> tuple[np.ndarray, float]:
    sums, counts = np.sum([p[0] for p in parts], axis=0), np.sum([p[1] for p in parts], axis=0)
    moved = np.divide(sums, counts[:, None], out=centroids.astype(np.float64), where=counts[:, None] > 0)
    empty = np.flatnonzero(counts == 0)
    if len(empty):  # an empty segment starts again at the row that is served worst, as in scikit-learn
        rows, squares = np.concatenate([p[3] for p in parts]), np.concatenate([p[4] for p in parts])
        worst = np.argsort(-squares, kind="stable")[: len(empty)]
        moved[empty[: len(worst)]] = rows[worst]
    return (unit_rows(moved) if space == "cosine" else moved), sum(p[2] for p in parts)


def lloyd(sweep: Sweep, start: np.ndarray, space: Space, max_iter: int, tol: float) -> tuple[np.ndarray, float, int]:
    """Iterate until the centroids move by at most `tol` (summed squares) or `max_iter` times.

    Args:
        sweep: from `sweeper`.
        start: (k, d) centroids to start from.
        space: cosine scales the centroids to length 1 after each move.
        max_iter: iterations at most.
        tol: summed squared movement at which it has settled.

    Returns:
        centroids (k, d) float64, the inertia before the last move, iterations.
    """
    centroids = unit_rows(start) if space == "cosine" else np.asarray(start, np.float64)
    inertia = np.inf
    iteration = 0
    while iteration < max_iter:
        iteration += 1
        here = centroids.astype(np.float32)
        moved, inertia = _move(sweep(partial(partial_sums, centroids=here)), here, space)
        shift = float(np.square(moved - centroids).sum())
        centroids = moved
        if shift <= tol:
            break
    return centroids, inertia, iteration


def seeds(
    sample: np.ndarray, k: int, rng: np.random.Generator, given: np.ndarray | None = None, space: Space = "euclidean"
) -> np.ndarray:
    """k-means++ starting centroids (k, d) from rows of `sample` (m, d); those `given` (g, d) come first and stay.

    Under cosine the rows of `sample` have length 1, and the given ones are brought to it.

    Raises:
        DataError: more are given than k, of another dimension, or not finite.
    """
    if given is None or len(given) == 0:
        from sklearn.cluster import kmeans_plusplus

        return kmeans_plusplus(sample, k, random_state=int(rng.integers(2**31)))[0]
    given = np.asarray(given, np.float32)
    if given.ndim != 2 or len(given) > k or given.shape[1] != sample.shape[1]:
        raise DataError(f"starting centroids of shape {given.shape} fit neither k={k} nor {sample.shape[1]} columns")
    if not np.isfinite(given).all():
        raise DataError("a starting centroid is not finite: leave out segments without members")
    given = unit_rows(given).astype(np.float32) if space == "cosine" else given
    if len(given) == k:
        return given
    chosen = list(given)
    closest = np.full(len(sample), np.inf)
    for centroid in given:
        closest = np.minimum(closest, np.square(sample - centroid).sum(axis=1))
    while len(chosen) < k:  # a birth: a row far from every segment is the likelier start of a new one
        total = closest.sum()
        share = closest / total if total > 0 else None
        chosen.append(sample[rng.choice(len(sample), p=share)])
        closest = np.minimum(closest, np.square(sample - chosen[-1]).sum(axis=1))
    return np.asarray(chosen, np.float32)


def sample_rows(X: Any, size: int, rng: np.random.Generator) -> np.ndarray:
    """At most `size` rows of X (n, d), drawn evenly without replacement; only the sample comes into memory."""
    n = X.shape[0]
    check_known(n)
    if n <= size:
        return check_rows(np.asarray(X))
    return check_rows(np.asarray(X[np.sort(rng.choice(n, size, replace=False))]))
