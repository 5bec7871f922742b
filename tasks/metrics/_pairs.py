"""Euclidean silhouette from all pairs, by blocks: exact in O(n²·d), with memory for one block."""

import numpy as np

from tasks.metrics._labels import refuse_non_finite
from tasks.metrics._sums import scores

_BLOCK_VALUES = 1_000_000  # distances in one block on a CPU (8 MB: larger ones leave the cache and take twice as long)
_GPU_BLOCK_VALUES = 500_000_000  # the same on a GPU (2 GB as float32)


def euclidean_samples(
    X: np.ndarray, codes: np.ndarray, counts: np.ndarray, rows: np.ndarray | None = None, device: str = "cpu"
) -> np.ndarray:
    """Silhouettes under Euclidean distance.

    Args:
        X: (n, d) vectors without noise rows.
        codes: (n,) in 0..k-1.
        counts: (k,) members, all above 0.
        rows: (m,) row numbers to score, each against all n rows; None: all rows.
        device: "cpu" (float64) or a torch device such as "cuda" (float32 products and sums).

    Returns:
        (m,) float64.
    """
    refuse_non_finite(X)
    order = np.argsort(codes, kind="stable")  # members side by side, so that a sum per cluster is a sum of a slice
    query = np.arange(len(X)) if rows is None else rows
    totals = _totals_cpu(X, order, counts, query) if device == "cpu" else _totals_torch(X, order, counts, query, device)
    return scores(totals, codes[query], counts)


def _totals_cpu(X: np.ndarray, order: np.ndarray, counts: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(m, k) summed distances of the query rows to each cluster, in float64."""
    points = np.asarray(X[order], np.float64)
    points -= np.median(points, axis=0)  # distances stay, cancellation goes, also beside a few far users
    lengths = np.einsum("ij,ij->i", points, points)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    starts = np.cumsum(counts) - counts
    totals = np.empty((len(query), len(counts)))
    step = max(1, _BLOCK_VALUES // len(X))
    for begin in range(0, len(query), step):
        own = place[query[begin : begin + step]]
        squared = points[own] @ points.T
        squared *= -2.0
        squared += lengths
        squared += lengths[own, None]
        np.maximum(squared, 0.0, out=squared)
        squared[np.arange(len(own)), own] = 0.0
        np.sqrt(squared, out=squared)
        totals[begin : begin + step] = np.add.reduceat(squared, starts, axis=1)
    return totals


def _totals_torch(X: np.ndarray, order: np.ndarray, counts: np.ndarray, query: np.ndarray, device: str) -> np.ndarray:
    """The same on a torch device: float32 products, sums of each cluster in float64 across blocks of columns."""
    import torch

    points = torch.as_tensor(np.ascontiguousarray(X[order], np.float32), device=device)
    points -= points.median(dim=0).values
    lengths = points.square().sum(dim=1)
    place = torch.empty(len(order), dtype=torch.int64, device=device)
    place[torch.as_tensor(order, device=device)] = torch.arange(len(order), device=device)
    ends = np.cumsum(counts)
    totals = torch.empty((len(query), len(counts)), dtype=torch.float64, device=device)
    step = max(1, (_BLOCK_VALUES if device == "cpu" else _GPU_BLOCK_VALUES) // int(counts.max()))
    wanted = place[torch.as_tensor(query, device=device)]
    for begin in range(0, len(query), step):
        own = wanted[begin : begin + step]
        rows, squares = points[own], lengths[own, None]
        for cluster, (start, end) in enumerate(zip(ends - counts, ends, strict=True)):
            block = torch.addmm(lengths[None, start:end], rows, points[start:end].T, alpha=-2.0)
            block += squares
            inside = (own >= start) & (own < end)
            block[inside.nonzero().squeeze(1), own[inside] - start] = 0.0
            totals[begin : begin + step, cluster] = block.clamp_(min=0).sqrt_().sum(dim=1, dtype=torch.float64)
    return totals.cpu().numpy()
