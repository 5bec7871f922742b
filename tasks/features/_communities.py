"""Communities of a weighted graph by modularity."""

from typing import TYPE_CHECKING

import numpy as np

from schemas.errors import UsageError

if TYPE_CHECKING:
    from scipy import sparse


def communities(undirected: "sparse.csr_matrix", method: str, resolution: float, seed: int) -> np.ndarray:
    """(n,) community per node, 0 the largest (ties: the one with the first node).

    Args:
        undirected: Symmetric weights.
        method: `louvain` (networkx) or `leiden` (igraph and leidenalg, the extra `leiden`).
        resolution: Above 1 gives smaller communities.
        seed: Of the order in which nodes are visited.
    """
    found = _leiden(undirected, resolution, seed) if method == "leiden" else _louvain(undirected, resolution, seed)
    found.sort(key=lambda members: (-len(members), min(members)))
    labels = np.zeros(undirected.shape[0], np.int64)
    for label, members in enumerate(found):
        labels[list(members)] = label
    return labels


def _louvain(undirected: "sparse.csr_matrix", resolution: float, seed: int) -> list[set[int]]:
    import networkx as nx

    graph = nx.from_scipy_sparse_array(undirected)
    return list(nx.community.louvain_communities(graph, resolution=resolution, seed=seed))


def _leiden(undirected: "sparse.csr_matrix", resolution: float, seed: int) -> list[set[int]]:
    try:
        import igraph
        import leidenalg
    except ImportError as error:
        raise UsageError("features.social.community: leiden needs the extra: pip install 'fenqun[leiden]'") from error
    from scipy import sparse

    pairs = sparse.triu(undirected).tocoo()
    graph = igraph.Graph(n=undirected.shape[0], edges=list(zip(pairs.row.tolist(), pairs.col.tolist(), strict=True)))
    parts = leidenalg.find_partition(
        graph, leidenalg.RBConfigurationVertexPartition, weights=pairs.data.tolist(), resolution_parameter=resolution,
        seed=seed,
    )  # fmt: skip
    return [set(members) for members in parts]
