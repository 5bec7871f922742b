"""K-Means: k segments around their means, plain (Euclidean) or spherical (cosine), in memory or over Dask blocks."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from tasks.clusterers._common import Centroids, check_k, check_rows, is_dask, settle
from tasks.clusterers._distances import Space, unit_rows
from tasks.clusterers._lloyd import lloyd, sample_rows, seeds, sweeper

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Parameters of K-Means."""

    kind: Literal["kmeans"] = "kmeans"
    space: Space = Field("euclidean", description="euclidean, or cosine: rows and centroids of length 1 (spherical)")
    k: int = Field(20, ge=1, description="segments")
    n_init: int = Field(3, ge=1, description="starts from other k-means++ seeds, the best is kept; a warm start is one")
    max_iter: int = Field(300, ge=1, description="Lloyd iterations at most")
    tol: float = Field(1e-4, ge=0, description="summed squared movement that ends it, in mean variances of a column")
    sample: int = Field(50_000, ge=100, description="rows that seed a fit over Dask blocks, drawn evenly")
    device: str = Field("cpu", description="cuda or cuda:1: the rows go there whole; cpu: they stay")


def name(config: Config) -> str:
    """Such as kmeans-k20, or kmeans-k20-cosine."""
    return f"kmeans-k{config.k}" + ("-cosine" if config.space == "cosine" else "")


def fit(
    X: Any,
    config: Config,
    rng: np.random.Generator,
    *,
    init: np.ndarray | None = None,
    y: np.ndarray | None = None,
    graph: "sp.spmatrix | None" = None,
) -> Centroids:
    """Fit on X (n, d) float32, an array or a Dask array; only a sample and sums of a Dask array come into memory.

    Args:
        X: rows.
        config: parameters.
        rng: draws the seeds.
        init: (k, d) centroids to start from, the champion's say; where fewer, k-means++ adds the others.
        y: not used.
        graph: not used.

    Returns:
        Centroids with extras `inertia` (sum of squared distances; of unit vectors under cosine), `iterations`,
        `warnings`.

    Raises:
        DataError: fewer rows than k, values that are not finite, or centroids of another shape.
    """
    check_k(X.shape[0], config.k)
    if not is_dask(X) and config.space == "euclidean" and config.device == "cpu":
        return _memory(check_rows(X), config, rng, init)
    centroids, iterations = _blocks(X, config, rng, init)
    fitted = settle(X, centroids, config.space)
    fitted.extras["iterations"] = iterations
    return fitted


def _memory(X: np.ndarray, config: Config, rng: np.random.Generator, init: np.ndarray | None) -> Centroids:
    """By scikit-learn, whose labels come from rounded products: `settle` gives those that `assign` will give."""
    import warnings

    from sklearn import config_context
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    starts = [seeds(X, config.k, rng, init) for _ in range(config.n_init if init is None else 1)]
    with warnings.catch_warnings(), config_context(assume_finite=True):
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than k: `settle` says so
        models = [
            KMeans(config.k, init=start, n_init=1, max_iter=config.max_iter, tol=config.tol).fit(X) for start in starts
        ]
    best = min(models, key=lambda model: model.inertia_)
    fitted = settle(X, best.cluster_centers_.astype(np.float64), config.space, float(best.inertia_))
    fitted.extras["iterations"] = int(best.n_iter_)
    return fitted


def _blocks(X: Any, config: Config, rng: np.random.Generator, init: np.ndarray | None) -> tuple[np.ndarray, int]:
    sample = sample_rows(X, config.sample, rng)
    if config.space == "cosine":
        sample = unit_rows(sample).astype(np.float32)
    tol = config.tol * float(sample.var(axis=0, dtype=np.float64).mean())
    if init is not None:
        start = seeds(sample, config.k, rng, init, config.space)
    else:  # the starts compete on the sample, so that a pass over everything is spent on the best alone
        trial = sweeper(sample, config.space)
        starts = (seeds(sample, config.k, rng) for _ in range(config.n_init))
        fits = [lloyd(trial, start, config.space, config.max_iter, tol) for start in starts]
        start = min(fits, key=lambda fit: fit[1])[0]
    centroids, _, iterations = lloyd(sweeper(X, config.space, config.device), start, config.space, config.max_iter, tol)
    return centroids, iterations


def from_arrays(arrays: dict[str, np.ndarray], config: Config) -> Centroids:
    """The fitted clusterer again, from `Centroids.arrays()`."""
    return Centroids(arrays["centroids"], config.space)
