"""Measures of a social graph on sparse matrices; each equals networkx's of the same name (see the tests)."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

LEAST = 0.4  # weight of a column of which neighbours share nothing: less, and hubs and bridges are found no more
SMALL = 400  # nodes up to which the dense eigenproblem is solved: exact and no slower


def ones(matrix: "sparse.csr_matrix") -> "sparse.csr_matrix":
    """The same pattern with weight 1."""
    copy = matrix.copy()
    copy.data = np.ones_like(copy.data)
    return copy


def measures(graph: "sparse.csr_matrix") -> dict[str, np.ndarray]:
    """Name -> (n,) float64 of a directed weighted graph, NaN where unknown."""
    around, pattern = (graph + graph.T).tocsr(), ones(graph)
    return {
        "degree": row_sums(ones(around)),
        "degree_in": row_sums(pattern.T),
        "degree_out": row_sums(pattern),
        "weight_in": row_sums(graph.T),
        "weight_out": row_sums(graph),
        "reciprocity": reciprocity(graph),
        "clustering": clustering(around),
        "core": core_number(around).astype(np.float64),
        "pagerank": pagerank(graph) * graph.shape[0],
    }


def reciprocity(directed: "sparse.csr_matrix") -> np.ndarray:
    """(n,) share of a node's ties, out and in, that are returned; NaN without ties."""
    pattern = ones(directed)
    both = row_sums(pattern.multiply(pattern.T))
    ties = row_sums(pattern) + row_sums(pattern.T)
    return 2 * both / np.where(ties > 0, ties, np.nan)


def clustering(undirected: "sparse.csr_matrix") -> np.ndarray:
    """(n,) share of pairs of neighbours who know each other; 0 with fewer than two neighbours.

    Ties are directed from the node of lower degree to that of higher degree, so that no product of rows is larger than
    O(ties^1.5), whatever the hubs. A triangle then has one source, one middle and one sink.
    """
    from scipy import sparse

    pattern = ones(undirected)
    degree = row_sums(pattern)
    rank = np.empty(len(degree), np.int64)
    rank[np.lexsort((np.arange(len(degree)), degree))] = np.arange(len(degree))
    pairs = pattern.tocoo()
    up = rank[pairs.row] < rank[pairs.col]
    oriented = sparse.csr_matrix((pairs.data[up], (pairs.row[up], pairs.col[up])), shape=pattern.shape)
    closed = (oriented @ oriented).multiply(oriented)  # [source, sink]: middles between them
    middles = (oriented.T @ oriented).multiply(oriented)  # [middle, sink]: sources that know both
    triangles = row_sums(closed) + row_sums(closed.T) + row_sums(middles)
    pairs_of_neighbours = degree * (degree - 1) / 2
    return np.where(pairs_of_neighbours > 0, triangles / np.maximum(pairs_of_neighbours, 1), 0.0)


def bridging(undirected: "sparse.csr_matrix", labels: np.ndarray) -> np.ndarray:
    """(n,) share of a node's ties that lead out of its community, (n,) `labels`; NaN without ties."""
    ties = ones(undirected).tocoo()
    out = np.bincount(ties.row, labels[ties.row] != labels[ties.col], minlength=len(labels))
    degree = row_sums(ones(undirected))
    return out / np.where(degree > 0, degree, np.nan)


def weights(undirected: "sparse.csr_matrix", table: np.ndarray) -> np.ndarray:
    """(d,) how much each column counts in a user's vector: its signal by the root of its redundancy.

    Signal is the square of Moran's I (Moran 1950), the slope of the neighbours' mean on a node's own value, by the
    largest of all columns, and LEAST at least: what belongs to a circle is shared in it, while an axis of noise is
    shared the less. Redundancy is the sum of squared correlations with all columns, so that seven that all say how many
    ties one has count little more than one.

    Args:
        undirected: (n, n) ties.
        table: (n, d) values, NaN where unknown.
    """
    known = np.isfinite(table)
    off = np.where(known, table - np.nansum(table, axis=0) / np.maximum(known.sum(axis=0), 1), 0.0)
    degree = row_sums(undirected)
    around = (undirected @ off) / np.where(degree > 0, degree, 1.0)[:, None]
    squares = (off**2).sum(axis=0)
    shared = np.maximum((off * around).sum(axis=0) / np.where(squares > 0, squares, 1.0), 0.0)
    signal = (shared / max(shared.max(initial=0.0), 1e-9)) ** 2
    unit = off / np.sqrt(np.where(squares > 0, squares, 1.0))
    redundancy = ((unit.T @ unit) ** 2).sum(axis=0)
    return np.maximum(signal, LEAST) / np.sqrt(np.maximum(redundancy, 1.0))


def core_number(undirected: "sparse.csr_matrix") -> np.ndarray:
    """(n,) largest k such that the node is in a subgraph where all have k neighbours (Batagelj & Zaveršnik 2003)."""
    starts, neighbours = undirected.indptr, undirected.indices
    degree = np.diff(starts).astype(np.int64)
    core, alive, k = np.zeros(len(degree), np.int64), np.ones(len(degree), bool), 0
    left = len(degree)
    while left:
        k = max(k, int(degree[alive].min()))
        peeled = np.flatnonzero(alive & (degree <= k))
        while len(peeled):
            core[peeled], alive[peeled] = k, False
            left -= len(peeled)
            touched = np.concatenate([neighbours[starts[node] : starts[node + 1]] for node in peeled])
            touched = touched[alive[touched]]
            np.subtract.at(degree, touched, 1)
            peeled = np.unique(touched[degree[touched] <= k])
    return core


def pagerank(directed: "sparse.csr_matrix", damping: float = 0.85, tolerance: float = 1e-10) -> np.ndarray:
    """(n,) weighted PageRank, summing to 1 (Brin & Page 1998); nodes without outgoing ties lead everywhere."""
    n = directed.shape[0]
    out = row_sums(directed)
    flow = directed.multiply(1 / np.where(out > 0, out, 1.0)[:, None]).T.tocsr()
    dangling = out == 0
    rank = np.full(n, 1 / n)
    for _ in range(1_000):
        fresh = damping * (flow @ rank + rank[dangling].sum() / n) + (1 - damping) / n
        if np.abs(fresh - rank).sum() < tolerance:
            return fresh
        rank = fresh
    return rank


def spectral(undirected: "sparse.csr_matrix", dimensions: int, seed: int) -> np.ndarray:
    """(n, k) rows of length 1: top eigenvectors of D_τ^−½ A D_τ^−½ with D_τ = D + mean degree.

    Regularised spectral clustering (Qin & Rohe 2013): without τ, pairs of users apart from the rest would take the
    axes. The entry of largest size of each axis is positive; a node without ties is a row of zeros.
    """
    from scipy import sparse
    from scipy.sparse.linalg import eigsh

    n = undirected.shape[0]
    degree = row_sums(undirected)
    half = sparse.diags_array(1 / np.sqrt(degree + degree.mean()))
    normalised = (half @ undirected @ half).tocsr()
    k = min(dimensions, n)
    if n <= max(SMALL, k + 1):
        axes = np.linalg.eigh(normalised.toarray())[1][:, ::-1][:, :k]
    else:
        start = np.random.default_rng(seed).standard_normal(n)
        values, axes = eigsh(normalised, k=k, which="LA", v0=start)
        axes = axes[:, np.argsort(-values)]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(k)])
    axes = np.where(degree[:, None] > 0, axes * signs, 0.0)
    length = np.linalg.norm(axes, axis=1, keepdims=True)
    return axes / np.where(length > 0, length, 1.0)


def row_sums(matrix: "sparse.csr_matrix") -> np.ndarray:
    """(n,) float64 sums of rows."""
    return np.asarray(matrix.sum(axis=1), np.float64).ravel()
