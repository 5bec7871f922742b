"""Communities: groups of a graph, of the nearest neighbours of user vectors or of the social edges given.

Papers: Louvain, Blondel et al. 2008 (networkx); Leiden, Traag et al. 2019 (extra `leiden`, GPL).
"""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.errors import DataError
from tasks.clusterers import _exemplars
from tasks.clusterers._common import check_rows, in_memory
from tasks.clusterers._distances import Space, unit_rows
from tasks.clusterers._exemplars import Exemplars
from tasks.clusterers._neighbours import embed
from tasks.numerics.communities import communities
from tasks.numerics.groups import canonical, means

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Parameters of community detection."""

    kind: Literal["communities"] = "communities"
    graph: Literal["neighbours", "edges"] = Field(
        "neighbours", description="of nearest neighbours by vector, or of the social edges of the source"
    )
    space: Space = Field("cosine", description="distance of the neighbours: cosine or euclidean")
    algorithm: Literal["louvain", "leiden"] = Field(
        "louvain", description="leiden needs the extra fenqun[leiden] (GPL)"
    )
    neighbours: int = Field(15, ge=1, description="neighbours a user is linked to in graph: neighbours")
    resolution: float = Field(1.0, gt=0, description="higher: more and smaller communities")
    min_users: int = Field(10, ge=1, description="users of a smaller community are noise")


def fit(
    X: Any,
    config: Config,
    rng: np.random.Generator,
    *,
    init: np.ndarray | None = None,
    y: np.ndarray | None = None,
    graph: "sp.spmatrix | None" = None,
) -> Exemplars:
    """Fit on X (n, d) float32 (a Dask array is brought into memory).

    A new user belongs with the nearest user's community; distance is to the mean of the community.

    Args:
        X: rows.
        config: parameters.
        rng: seeds the order of moves.
        init: not used.
        y: not used.
        graph: (n, n) adjacency with weights >= 0, read as undirected; None: neighbours in the space.

    Returns:
        Exemplars (all users in communities) with extras `modularity`, `noise_share`, `warnings`.

    Raises:
        DataError: values that are not finite, or a graph that does not fit the rows.
        UsageError: leiden without its extra.
    """
    X = check_rows(in_memory(X))
    links = _neighbour_graph(X, config) if graph is None else _checked(graph, len(X))
    found = communities(links, config.algorithm, config.resolution, int(rng.integers(2**31)))
    modularity = _modularity(links, found, config.resolution)
    found[np.bincount(found)[found] < config.min_users] = -1
    labels, order = canonical(found)
    member = labels >= 0
    centres = means(unit_rows(X) if config.space == "cosine" else X, labels, len(order))
    extras = {"modularity": modularity, "noise_share": float((~member).mean()), "warnings": []}
    return Exemplars(X[member], labels[member], config.space, None, labels, extras, centres)


def _neighbour_graph(X: np.ndarray, config: Config) -> "sp.csr_matrix":
    from sklearn.neighbors import kneighbors_graph

    if len(X) == 1:
        return _checked(np.zeros((1, 1)), 1)
    points = embed(X, config.space)
    nearest = kneighbors_graph(points, min(config.neighbours, len(X) - 1), mode="connectivity")
    return nearest + nearest.T  # a mutual neighbour counts twice


def _checked(graph: Any, n: int) -> "sp.csr_matrix":
    import scipy.sparse as sp

    links = sp.csr_matrix(graph, dtype=np.float64)
    if links.shape != (n, n):
        raise DataError(f"the graph is {links.shape[0]} x {links.shape[1]}, the vectors are of {n} users: align them")
    if not np.isfinite(links.data).all() or links.data.min(initial=0) < 0:
        raise DataError("the graph has a weight that is negative or not finite: drop or mend such edges")
    return links + links.T


def _modularity(links: "sp.csr_matrix", labels: np.ndarray, resolution: float) -> float:
    """Newman's modularity of a symmetric adjacency; 0 without edges."""
    total = links.sum()
    if total == 0:
        return 0.0
    coo = links.tocoo()
    within = coo.data[labels[coo.row] == labels[coo.col]].sum() / total
    degrees = np.bincount(labels, weights=np.asarray(links.sum(axis=1)).ravel()) / total
    return float(within - resolution * np.square(degrees).sum())


def from_arrays(arrays: dict[str, np.ndarray], config: Config) -> Exemplars:
    """The fitted clusterer again, from `Exemplars.arrays()`."""
    return _exemplars.from_arrays(arrays, config.space)
