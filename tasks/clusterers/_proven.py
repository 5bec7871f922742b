"""The labels that `nearest` gives under Euclid, quickly: float32 products decide where they are certain.

Only rows whose two nearest centroids are closer than the rounding of those products are compared in float64.
"""

from itertools import pairwise
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

import numpy as np

from tasks.clusterers._distances import nearest, rounding

if TYPE_CHECKING:
    import torch

CHUNK = 2048
FEW = 4096  # rows below which threads cost more than they bring


def label_rows(X: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The labels (n,) int32 that `nearest` gives X (n, d) float32 for centroids (k, d) under Euclid."""
    from concurrent.futures import ThreadPoolExecutor

    import torch

    many = torch.get_num_threads()
    edges = np.linspace(0, len(X), (many if len(X) >= FEW else 1) + 1).astype(int).tolist()
    with catch_warnings():
        simplefilter("ignore", UserWarning)  # that X may be read-only: nothing writes to it
        rows = torch.from_numpy(X)
    targets = torch.from_numpy(np.ascontiguousarray(centroids, np.float32))
    try:
        with ThreadPoolExecutor(many, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            parts = list(pool.map(lambda edge: _label_share(rows[edge[0] : edge[1]], targets), pairwise(edges)))
    finally:
        torch.set_num_threads(many)
    labels, doubt = (np.concatenate(part) for part in zip(*parts, strict=True))
    if doubt.any():
        labels[doubt] = nearest(X[doubt], centroids, "euclidean")[0]
    return labels


def _label_share(rows: "torch.Tensor", targets: "torch.Tensor") -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,), and where they are not certain (n,)."""
    import torch

    labels, doubt = np.empty(len(rows), np.int32), np.empty(len(rows), bool)
    left, sizes = -2 * targets, targets.square().sum(1)[:, None]
    largest = float(sizes.max())
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        rough = torch.addmm(sizes, left, part.T)
        least, closest = rough.min(0)
        rough.scatter_(0, closest[None], np.inf)
        gap = (rough.amin(0) - least).numpy()
        norms = torch.linalg.vector_norm(part, dim=1).square().numpy()
        labels[start : start + CHUNK] = closest.numpy()
        doubt[start : start + CHUNK] = ~(gap > 2 * rounding(rows.shape[1], np.dtype(np.float32), norms, largest))
    return labels, doubt
