"""K-Means: k segments around their means, plain (Euclidean) or spherical (cosine), in memory or over Dask blocks.

Over Dask blocks two starts compete: the best of a sample, and dask-ml's k-means||, which has seen every row.
`implementation: dask_ml` leaves all of the fit to dask-ml.
"""

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from schemas.config import Section
from tasks.clusterers._common import Centroids, check_k, check_rows, is_dask, settle
from tasks.clusterers._distances import Space, unit_rows
from tasks.clusterers._lloyd import lloyd, sample_rows, seeds, sweeper
from tasks.clusterers._scalable import Seeding, Standard, scalable_fit, scalable_seeds

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Parameters of K-Means."""

    kind: Literal["kmeans"] = "kmeans"
    implementation: Literal["fenqun", "dask_ml"] = Field(
        "fenqun", description="who iterates: fenqun (in memory scikit-learn), or dask-ml over blocks, for comparison"
    )
    space: Space = Field("euclidean", description="euclidean, or cosine: rows and centroids of length 1 (spherical)")
    k: int = Field(20, ge=1, description="segments")
    n_init: int = Field(3, ge=1, description="starts from other seeds, the best is kept; a warm start is one")
    seeding: Seeding = Field("k-means||", description="how dask_ml draws its start; random rows are often worse")
    max_iter: int = Field(300, ge=1, description="Lloyd iterations at most")
    tol: float = Field(1e-4, ge=0, description="summed squared movement that ends it, in mean variances of a column")
    sample: int = Field(50_000, ge=100, description="rows that seed a fit over Dask blocks, drawn evenly")
    device: str = Field("cpu", description="cuda or cuda:1: the rows go there whole; cpu: they stay")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.implementation == "dask_ml" and self.device != "cpu":
            raise ValueError(f"implementation: dask_ml knows no device {self.device}: leave `device` out")
        if self.implementation == "fenqun" and self.seeding != "k-means||":
            raise ValueError(f"seeding: {self.seeding} is of implementation: dask_ml alone: leave one of them out")
        return self


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
    ours = config.implementation == "fenqun"
    if ours and not is_dask(X) and config.space == "euclidean" and config.device == "cpu":
        return _memory(check_rows(X), config, rng, init)
    centroids, iterations = (_blocks if ours else _dask_ml)(X, config, rng, init)
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
    sample, space = _sample(X, config, rng), config.space
    tol = config.tol * float(sample.var(axis=0, dtype=np.float64).mean())
    whole = sweeper(X, space, config.device)
    if init is not None and len(init):
        start = seeds(sample, config.k, rng, init, space)
    else:  # the starts compete on the sample, so that passes over everything are spent on the best alone
        trial = sweeper(sample, space)
        starts = (seeds(sample, config.k, rng) for _ in range(config.n_init))
        start = _best([lloyd(trial, start, space, config.max_iter, tol) for start in starts])
        if len(sample) < X.shape[0] and is_dask(X):  # k-means|| has seen every row, also the few that no sample holds
            seen = scalable_seeds(Standard.of(X, sample, space), config.k, config.n_init, int(rng.integers(2**31)))
            start = _best([lloyd(whole, one, space, 1, 0.0) for one in (start, seen)])
    centroids, _, iterations = lloyd(whole, start, space, config.max_iter, tol)
    return centroids, iterations


def _best(fits: list[tuple[np.ndarray, float, int]]) -> np.ndarray:
    return min(fits, key=lambda fit: fit[1])[0]


def _dask_ml(X: Any, config: Config, rng: np.random.Generator, init: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Under cosine it is K-Means of rows of length 1, whose centroids are brought to length 1 at the end."""
    X = X if is_dask(X) else check_rows(X)
    sample = _sample(X, config, rng)
    start: Any = config.seeding
    if init is not None and len(init):
        start = seeds(sample, config.k, rng, init, config.space)
    centroids, iterations = scalable_fit(
        Standard.of(X, sample, config.space),
        config.k,
        start,
        config.n_init,
        int(rng.integers(2**31)),
        max_iter=config.max_iter,
        tol=config.tol,
    )
    return unit_rows(centroids) if config.space == "cosine" else centroids, iterations


def _sample(X: Any, config: Config, rng: np.random.Generator) -> np.ndarray:
    rows = sample_rows(X, config.sample, rng)
    return unit_rows(rows).astype(np.float32) if config.space == "cosine" else rows


def from_arrays(arrays: dict[str, np.ndarray], config: Config) -> Centroids:
    """The fitted clusterer again, from `Centroids.arrays()`."""
    return Centroids(arrays["centroids"], config.space)
