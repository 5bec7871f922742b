"""Density-based cluster validity, DBCV (Moulavi et al. 2014), in [−1, 1]: for segments of any shape.

A segment is valid where its sparsest inner link is denser than the densest way to another segment. The mean is
weighted by size over all users, so noise counts as 0, as in the paper; its share is reported.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.reports import Metric
from tasks.metrics._labels import Codes, encode, refuse_non_finite

if TYPE_CHECKING:
    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext

_LARGEST = 2_000  # users: all pairs are looked at, in seconds; beyond this a sample is


def density_validity(X: np.ndarray, labels: np.ndarray, metric: str = "euclidean") -> float:
    """DBCV of a clustering; O(n²·d) time, O(n²) memory.

    Args:
        X: (n, d) vectors.
        labels: (n,) integers, −1 for noise.
        metric: "euclidean" or "cosine".

    Returns:
        A float in [−1, 1]; NaN where there is one segment or none.

    Raises:
        DataError: Labels don't align, or X holds NaN or infinity.
    """
    codes = encode(labels, len(X))
    if codes.k < 2:
        return float("nan")
    return float(codes.counts @ segment_validity(X, codes, metric) / len(X))


def segment_validity(X: np.ndarray, codes: Codes, metric: str) -> np.ndarray:
    """(k,) validity of each segment: (separation − sparseness) / the larger of both; 0 for a singleton."""
    refuse_non_finite(X)
    members = [np.flatnonzero(codes.codes == code) for code in range(codes.k)]
    points = np.asarray(X, np.float64)
    cores, inner, sparseness = [], [], np.zeros(codes.k)
    for code, rows in enumerate(members):
        distances = pairwise(points[rows], points[rows], metric)
        distances = np.maximum(distances, distances.T)  # rounding may differ between both triangles
        np.fill_diagonal(distances, 0.0)
        core = core_distances(distances, X.shape[1])
        keep, sparseness[code] = inner_tree(np.maximum(distances, np.maximum(core[:, None], core)), distances)
        cores.append(core[keep])
        inner.append(rows[keep])
    separation = np.full(codes.k, np.inf)
    for a in range(codes.k):
        for b in range(a):
            reach = pairwise(points[inner[a]], points[inner[b]], metric)
            nearest = np.maximum(reach, np.maximum(cores[a][:, None], cores[b])).min()
            separation[[a, b]] = np.minimum(separation[[a, b]], nearest)
    larger = np.maximum(separation, sparseness)
    valid = np.divide(separation - sparseness, larger, out=np.zeros(codes.k), where=larger > 0)
    return np.where(codes.counts > 1, valid, 0.0)


def pairwise(a: np.ndarray, b: np.ndarray, metric: str) -> np.ndarray:
    """(p, q) distances; a zero vector is at cosine distance 1 from everything."""
    from scipy.spatial.distance import cdist

    if metric != "cosine":
        return cdist(a, b)
    units = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(float).tiny) for x in (a, b)]
    distances = 1.0 - units[0] @ units[1].T
    return np.where(distances < 1e-14, 0.0, distances)  # rounding: the same direction


def core_distances(distances: np.ndarray, dimensions: int) -> np.ndarray:
    """(m,) all-points core distance, ((Σ (1/distance)^d) / (m − 1))^(−1/d), 0 next to a duplicate.

    In logarithms, because (1/distance)^d overflows in hundreds of dimensions.
    """
    from scipy.special import logsumexp

    m = len(distances)
    if m < 2:
        return np.zeros(m)
    with np.errstate(divide="ignore"):
        powers = -dimensions * np.log(distances)
    np.fill_diagonal(powers, -np.inf)  # not its own neighbour
    return np.exp(-(logsumexp(powers, axis=1) - np.log(m - 1)) / dimensions)


def inner_tree(reach: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, float]:
    """Inner nodes of the minimum spanning tree of (m, m) reachabilities, and its heaviest inner edge.

    Inner nodes have more than one edge, inner edges join two of them; where there are none, all count. Reachabilities
    tie wherever a core distance decides, and the tree depends on the ties, so that they go to the nearer pair.
    """
    m = len(reach)
    best, near, link = reach[0].copy(), distances[0].copy(), np.zeros(m, np.int64)
    waiting = np.ones(m, bool)
    waiting[0] = False
    edges = np.empty((m - 1, 2), np.int64)
    for step in range(m - 1):  # Prim's algorithm; scipy's takes a distance of 0 for no edge
        tied = waiting & (best == best[waiting].min())
        new = int(np.argmin(np.where(tied, near, np.inf)))
        edges[step] = link[new], new
        waiting[new] = False
        closer = (reach[new] < best) | ((reach[new] == best) & (distances[new] < near))
        best[closer], near[closer], link[closer] = reach[new][closer], distances[new][closer], new
    inner = np.bincount(edges.ravel(), minlength=m) > 1
    weights, inside = reach[edges[:, 0], edges[:, 1]], inner[edges].all(axis=1)
    heaviest = weights[inside] if inside.any() else weights
    return np.flatnonzero(inner) if inner.any() else np.arange(m), float(heaviest.max(initial=0.0))


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """DBCV in the candidate's space; beyond 2,000 users on a random sample of that many."""
    rng, n = np.random.default_rng(context.seed), len(context.X)
    rows = np.sort(rng.choice(n, _LARGEST, replace=False)) if n > _LARGEST else np.arange(n)
    X, codes = context.X[rows], encode(np.asarray(context.labels)[rows])
    rest: dict[str, Any] = {"space": context.space, "noise_share": encode(context.labels).noise_share}
    if codes.k < 2:
        return Metric.of("density_validity", np.nan, len(rows), reason=f"needs two segments, has {codes.k}", **rest)
    valid = segment_validity(X, codes, context.space)
    details = {"segments": {str(name): float(value) for name, value in zip(codes.names, valid, strict=True)}}
    return Metric.of(
        "density_validity",
        float(codes.counts @ valid / len(codes.codes)),
        len(codes.codes),
        seed=context.seed,
        sampled=n > _LARGEST,
        details=details,
        **rest,
    )
