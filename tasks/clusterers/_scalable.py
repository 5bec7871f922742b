"""K-Means of dask-ml behind our own interface: k-means|| seeds, and a whole fit, over row blocks of a Dask array.

Paper: Scalable k-means++, Bahmani et al. 2012. dask-ml's rounds, its tolerance and its float32 centroids depend on the
unit and the origin of the rows, so it gets them centred and scaled; its `inertia_` is not squared and is never used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tasks.clusterers._common import check_rows, is_dask
from tasks.clusterers._distances import Space, unit_rows

Seeding = Literal["k-means||", "random"]
ROUNDS = 3  # of k-means||, two passes over all rows each
DRAWN = 2  # candidates of a round, in k


@dataclass(frozen=True)
class Standard:
    """Rows of a Dask array, checked as they are read, in standard units.

    Attributes:
        rows: (n, d) float32 Dask array whose columns have a mean of about 0 and a mean variance of about 1; under
            cosine, scaled rows of length 1.
        centre: (d,) float32 taken off.
        scale: what they were then divided by.
    """

    rows: Any
    centre: np.ndarray
    scale: np.float32

    @classmethod
    def of(cls, X: Any, sample: np.ndarray, space: Space) -> "Standard":
        """X (n, d), an array or a Dask array; mean and variance: those of `sample` (m, d), unit rows under cosine."""
        import dask.array as da

        centre = sample.mean(axis=0, dtype=np.float64).astype(np.float32) * (space == "euclidean")
        scale = np.float32(np.sqrt(sample.var(axis=0, dtype=np.float64).mean()) or 1.0)
        if not is_dask(X):
            X = da.from_array(X, chunks=(max(4096, (1 << 22) // X.shape[1]), -1), name=False)
        whole = X.rechunk((tuple(size for size in X.chunks[0] if size), -1))
        nothing = np.empty((0, 0), np.float32)
        rows = whole.map_blocks(_read, centre, scale, space=space, dtype=np.float32, meta=nothing)
        return cls(rows, centre, scale)

    def put(self, centroids: np.ndarray) -> np.ndarray:
        """Centroids (k, d) of X in these units."""
        return (np.asarray(centroids, np.float64) - self.centre) / self.scale

    def back(self, centroids: np.ndarray) -> np.ndarray:
        """Centroids (k, d) of these units as float64 ones of X."""
        return np.asarray(centroids, np.float64) * self.scale + self.centre


def _read(
    block: Any, centre: np.ndarray, scale: np.float32, space: Space, block_info: dict[Any, Any] | None = None
) -> np.ndarray:
    rows = check_rows(np.asarray(block), start=block_info[0]["array-location"][0][0] if block_info else 0)
    return ((unit_rows(rows).astype(np.float32) if space == "cosine" else rows) - centre) / scale


def scalable_seeds(here: Standard, k: int, n_init: int, seed: int) -> np.ndarray:
    """Starting centroids (k, d) float64 by dask-ml's k-means||.

    Args:
        here: rows.
        k: how many.
        n_init: clusterings of the candidates that the rounds have drawn; the best is kept.
        seed: decides all, for given chunks.
    """
    from dask_ml.cluster.k_means import k_init

    with _fewer_words():
        found = k_init(here.rows, k, random_state=seed, max_iter=ROUNDS, oversampling_factor=DRAWN * k, n_init=n_init)
    return here.back(found)


def scalable_fit(
    here: Standard, k: int, start: np.ndarray | Seeding, n_init: int, seed: int, *, max_iter: int, tol: float
) -> tuple[np.ndarray, int]:
    """Centroids (k, d) float64 by the whole of dask-ml's K-Means, and its iterations.

    A segment that loses its last row goes to the origin of `here`, and may stay without rows.

    Args:
        here: rows.
        k: how many.
        start: (k, d) centroids of X, or how to draw them.
        n_init: as for `scalable_seeds`.
        seed: decides all, for given chunks.
        max_iter: iterations at most.
        tol: summed squared movement that ends it, in mean variances of a column.
    """
    from dask_ml.cluster.k_means import k_means

    least = float(np.finfo(np.float64).tiny)  # it ends below its tolerance only, where ours ends at it
    with _fewer_words():
        _, centroids, _, iterations = k_means(
            here.rows,
            k,
            init=start if isinstance(start, str) else here.put(start),
            random_state=seed,
            n_init=n_init,
            init_max_iter=ROUNDS,
            oversampling_factor=DRAWN * k,
            max_iter=max_iter,
            tol=max(tol, least),
            return_n_iter=True,
        )
    return here.back(centroids), iterations


@contextmanager
def _fewer_words() -> Iterator[None]:
    """Without what dask-ml and scikit-learn say of fewer distinct rows than k: `settle` says so."""
    import logging
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    logger = logging.getLogger("dask_ml.cluster.k_means")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", RuntimeWarning)  # it divides by a cost of 0
            yield
    finally:
        logger.setLevel(level)
