"""Mini-batch K-Means: centroids that follow a stream of rows, for data read once or too large for full passes.

Paper: Sculley 2010, Web-scale k-means clustering.
"""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from tasks.clusterers._blocks import blocks_of
from tasks.clusterers._common import Centroids, check_k, settle
from tasks.clusterers._distances import Space, unit_rows
from tasks.clusterers._lloyd import sample_rows, seeds

if TYPE_CHECKING:
    import scipy.sparse as sp

BATCHES = 100
"""Mini-batches that centroids need at least to come near those of full passes."""


class Config(Section):
    """Parameters of mini-batch K-Means."""

    kind: Literal["minibatch_kmeans"] = "minibatch_kmeans"
    space: Space = Field("euclidean", description="euclidean, or cosine: rows and centroids of length 1")
    k: int = Field(20, ge=1, description="segments")
    batch: int = Field(4096, ge=1, description="rows of a mini-batch")
    passes: int = Field(
        5, ge=1, description="times all rows are read; more, where that would give fewer than 100 mini-batches"
    )
    sample: int = Field(20_000, ge=100, description="rows that seed it, drawn evenly")


def fit(
    X: Any,
    config: Config,
    rng: np.random.Generator,
    *,
    init: np.ndarray | None = None,
    y: np.ndarray | None = None,
    graph: "sp.spmatrix | None" = None,
) -> Centroids:
    """Fit on X (n, d) float32, an array or a Dask array of which one block at a time is in memory.

    Args:
        X: rows.
        config: parameters.
        rng: draws the seeds and the order within a block.
        init: (k, d) centroids to start from; where fewer, k-means++ adds the others.
        y: not used.
        graph: not used.

    Returns:
        Centroids with extras `inertia`, `warnings`.

    Raises:
        DataError: fewer rows than k, values that are not finite, or centroids of another shape.
    """
    from sklearn.cluster import MiniBatchKMeans

    check_k(X.shape[0], config.k)
    cosine = config.space == "cosine"
    sample = sample_rows(X, config.sample, rng)
    start = seeds(unit_rows(sample).astype(np.float32) if cosine else sample, config.k, rng, init, config.space)
    seed = int(rng.integers(2**31))
    model = MiniBatchKMeans(config.k, init=start, n_init=1, batch_size=config.batch, random_state=seed)
    blocks = blocks_of(X)
    batches = sum(-(-blocks.size(block) // config.batch) for block in range(len(blocks.parts)))
    for _ in range(max(config.passes, -(-BATCHES // batches))):
        for block in range(len(blocks.parts)):
            rows = blocks.run([(_shuffled, (block,), (rng.permutation(blocks.size(block)), cosine))])[0]
            for first in range(0, len(rows), config.batch):
                model.partial_fit(rows[first : first + config.batch])
    centroids = unit_rows(model.cluster_centers_) if cosine else model.cluster_centers_.astype(np.float64)
    return settle(X, centroids, config.space)


def _shuffled(block: np.ndarray, order: np.ndarray, cosine: bool) -> np.ndarray:
    return (unit_rows(block).astype(np.float32) if cosine else block)[order]


def from_arrays(arrays: dict[str, np.ndarray], config: Config) -> Centroids:
    """The fitted clusterer again, from `Centroids.arrays()`."""
    return Centroids(arrays["centroids"], config.space)
