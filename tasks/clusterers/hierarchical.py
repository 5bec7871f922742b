"""Hierarchical clustering: Ward or average linkage, the whole dendrogram kept, cut by count or by height.

Papers: Ward 1963; Müllner 2011 (the algorithms in SciPy).
"""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from tasks.clusterers import _exemplars, kmeans
from tasks.clusterers._common import check_k, check_rows, fewer_warnings, in_memory, outlier_warnings
from tasks.clusterers._distances import Space, unit_rows
from tasks.clusterers._exemplars import Exemplars
from tasks.clusterers._neighbours import embed
from tasks.clusterers._weighted import linkage as weighted_linkage
from tasks.numerics.groups import canonical, means

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Parameters of hierarchical clustering."""

    kind: Literal["hierarchical"] = "hierarchical"
    space: Space = Field("euclidean", description="distance; cosine: Ward works on rows of length 1")
    linkage: Literal["ward", "average"] = Field(
        "ward", description="what merges: least growth of variance, or mean distance"
    )
    k: int = Field(20, ge=1, description="segments, where height is not given")
    height: float | None = Field(
        None, gt=0, description="cut the dendrogram at this height instead; its unit is the linkage's"
    )
    max_rows: int = Field(4000, ge=2, description="beyond it the leaves are K-Means micro-clusters, not users")
    micro: int = Field(1000, ge=2, description="micro-clusters; each weighs as much as its users")


def fit(
    X: Any,
    config: Config,
    rng: np.random.Generator,
    *,
    init: np.ndarray | None = None,
    y: np.ndarray | None = None,
    graph: "sp.spmatrix | None" = None,
) -> Exemplars:
    """Fit on X (n, d) float32, an array or a Dask array.

    A user belongs with the nearest leaf; distance is to the mean of the segment.

    Args:
        X: rows.
        config: parameters.
        rng: seeds the micro-clusters.
        init: not used.
        y: not used.
        graph: not used.

    Returns:
        Exemplars (the leaves) with extras `linkage` (SciPy's, m − 1 merges of m leaves), `leaf_labels`, `warnings`.

    Raises:
        DataError: fewer rows than k, or values that are not finite.
    """
    check_k(X.shape[0], 1 if config.height else config.k)
    if X.shape[0] <= config.max_rows:
        leaves = check_rows(in_memory(X))
        weights = np.ones(len(leaves))
    else:
        leaves, weights = _micro(X, config, rng)
    merges = _linkage(leaves, weights, config)
    found = _cut(merges, len(leaves), config)
    rows = in_memory(X)
    fitted = Exemplars(leaves, found.astype(np.int32), config.space)
    labels, order = canonical(fitted.assign(rows).labels)
    place = np.full(found.max() + 1, -1, np.int32)
    place[order] = np.arange(len(order))
    centres = means(unit_rows(rows) if config.space == "cosine" else rows, labels, len(order))
    keep = place[found] >= 0
    warnings = outlier_warnings(rows, labels) + fewer_warnings(1 if config.height else config.k, len(order))
    extras = {"linkage": merges, "leaf_labels": place[found], "warnings": warnings}
    return Exemplars(leaves[keep], place[found][keep], config.space, None, labels, extras, centres)


def _micro(X: Any, config: Config, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(m, d) centres of micro-clusters, and (m,) users of each."""
    values = {"k": max(config.micro, config.k), "space": config.space, "n_init": 1, "max_iter": 20}
    fitted = kmeans.fit(X, kmeans.Config.model_validate(values), rng)
    users = np.bincount(fitted.labels, minlength=len(fitted.centroids))
    return fitted.centroids[users > 0].astype(np.float32), users[users > 0]


def _linkage(leaves: np.ndarray, weights: np.ndarray, config: Config) -> np.ndarray:
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import pdist, squareform

    if len(leaves) == 1:
        return np.empty((0, 4))
    points = embed(leaves, config.space)
    if weights.max() > 1:
        squares = squareform(pdist(points, "sqeuclidean"))
        away = squares / 2 if config.space == "cosine" else np.sqrt(squares)
        return weighted_linkage(squares if config.linkage == "ward" else away, weights, config.linkage)
    if config.linkage == "average" and config.space == "cosine":
        return linkage(pdist(points, "sqeuclidean") / 2, "average")
    return linkage(points, config.linkage)


def _cut(merges: np.ndarray, leaves: int, config: Config) -> np.ndarray:
    from scipy.cluster.hierarchy import cut_tree, fcluster

    if leaves == 1:
        return np.zeros(1, np.int64)
    if config.height is not None:
        return fcluster(merges, config.height, "distance") - 1
    return cut_tree(merges, min(config.k, leaves)).ravel()


def from_arrays(arrays: dict[str, np.ndarray], config: Config) -> Exemplars:
    """The fitted clusterer again, from `Exemplars.arrays()`."""
    return _exemplars.from_arrays(arrays, config.space)
