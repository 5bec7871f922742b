"""Communities of a weighted graph by modularity.

Papers: Louvain, Blondel et al. 2008 (networkx); Leiden, Traag et al. 2019 (igraph and leidenalg, extra `leiden`, GPL).
"""

from typing import TYPE_CHECKING, Literal

import numpy as np

from schemas.errors import UsageError
from tasks.numerics.groups import canonical

if TYPE_CHECKING:
    import scipy.sparse as sp


def communities(
    links: "sp.csr_matrix", method: Literal["louvain", "leiden"], resolution: float, seed: int
) -> np.ndarray:
    """(n,) int32 community of each node, 0 the largest (ties: the one with the first node).

    Args:
        links: (n, n) symmetric weights.
        method: How modularity is raised.
        resolution: Above 1 gives smaller communities.
        seed: Of the order in which nodes are visited.

    Raises:
        UsageError: `leiden` is not installed.
    """
    found = (_leiden if method == "leiden" else _louvain)(links, resolution, seed)
    return canonical(found)[0]


def _louvain(links: "sp.csr_matrix", resolution: float, seed: int) -> np.ndarray:
    import networkx as nx

    groups = nx.community.louvain_communities(nx.from_scipy_sparse_array(links), resolution=resolution, seed=seed)
    labels = np.empty(links.shape[0], np.int64)
    for number, group in enumerate(groups):
        labels[list(group)] = number
    return labels


def _leiden(links: "sp.csr_matrix", resolution: float, seed: int) -> np.ndarray:
    import scipy.sparse as sp

    try:
        import igraph
        import leidenalg
    except ImportError as error:
        raise UsageError("leiden needs pip install 'fenqun[leiden]' (GPL); louvain does not") from error
    upper = sp.triu(links).tocoo()
    graph = igraph.Graph(n=links.shape[0], edges=list(zip(upper.row.tolist(), upper.col.tolist(), strict=True)))
    kind, weights = leidenalg.RBConfigurationVertexPartition, upper.data.tolist()
    found = leidenalg.find_partition(graph, kind, weights=weights, resolution_parameter=resolution, seed=seed)
    return np.asarray(found.membership)
