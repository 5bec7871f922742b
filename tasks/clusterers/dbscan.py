"""DBSCAN: segments are dense regions of any shape, the rest is noise; exact, in memory or by pairs of Dask blocks.

Paper: Ester, Kriegel, Sander and Xu 1996. Labels equal scikit-learn's up to renumbering; no neighbour list is kept.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from tasks.clusterers import _exemplars
from tasks.clusterers._blocks import blocks_of
from tasks.clusterers._common import outlier_warnings
from tasks.clusterers._density import components, core_rows, k_distances, knee, lowest_rank
from tasks.clusterers._distances import Space, squared_radius
from tasks.clusterers._exemplars import Exemplars
from tasks.clusterers._neighbours import FAR
from tasks.numerics.groups import canonical

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Parameters of DBSCAN."""

    kind: Literal["dbscan"] = "dbscan"
    space: Space = Field("euclidean", description="distance: euclidean, or cosine (1 − cosine)")
    eps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["auto"] = Field(
        "auto", description="radius of a neighbourhood, in the space's distance; auto: the knee of the k-distance curve"
    )
    min_samples: int = Field(10, ge=1, description="users within eps, oneself included, that make a core point")
    sample: int = Field(1000, ge=10, description="users on whose k-distances eps: auto is decided, drawn evenly")
    device: str = Field("cpu", description="where products of blocks run: cpu, cuda or cuda:1")


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

    A border user within eps of two segments gets the one whose first core user comes first, as in scikit-learn;
    `assign` gives the segment of the nearest core user, so such users (rare) may differ.

    Args:
        X: rows; a Dask array is compared block by block, pairs of its blocks must fit a worker.
        config: parameters.
        rng: draws the sample of eps: auto.
        init: not used.
        y: not used.
        graph: not used.

    Returns:
        Exemplars: the core users, with extras `eps`, `noise_share`, `core` (indices), `k_distances` (sorted, of the
        sample, in the space's distance; only where eps is auto), `warnings`.

    Raises:
        DataError: values that are not finite.
    """
    blocks = blocks_of(X)
    extras: dict[str, Any] = {"warnings": []}
    eps = config.eps
    if eps == "auto":
        extras["k_distances"] = k_distances(blocks, config.min_samples, config.sample, config.space, rng)
        eps = knee(extras["k_distances"])
    radius = squared_radius(eps, config.space)
    is_core = core_rows(blocks, radius, config.min_samples, config.space, config.device)
    rank = np.full(blocks.n, FAR)
    rank[is_core] = components(blocks, is_core, radius, config.space, config.device)
    rank[~is_core] = lowest_rank(blocks, is_core, rank, radius, config.space, config.device)
    labels, _ = canonical(np.where(rank == FAR, -1, rank))
    core = np.flatnonzero(is_core)
    extras |= {"eps": eps, "core": core, "noise_share": float((labels < 0).mean())}
    extras["warnings"] += _told(labels) + outlier_warnings(X, labels)
    reach = np.full(labels.max() + 1, eps)
    return Exemplars(blocks.take(core), labels[core], config.space, reach, labels, extras)


def _told(labels: np.ndarray) -> list[str]:
    if (labels < 0).all():
        return ["every user is noise: raise eps or lower min_samples"]
    return []


def from_arrays(arrays: dict[str, np.ndarray], config: Config) -> Exemplars:
    """The fitted clusterer again, from `Exemplars.arrays()`."""
    return _exemplars.from_arrays(arrays, config.space)
