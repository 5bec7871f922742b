"""The steps of density clustering over row blocks: k-distances, core points, their components, border points."""

import numpy as np

from tasks.clusterers._blocks import Blocks
from tasks.clusterers._distances import Space, from_squares
from tasks.clusterers._neighbours import FAR, Cells, count, embed, join, link, lowest, roots


def k_distances(blocks: Blocks, k: int, size: int, space: Space, rng: np.random.Generator) -> np.ndarray:
    """Sorted distances (m,) of at most `size` sampled rows to their k-th nearest row, oneself the first."""
    chosen = np.sort(rng.choice(blocks.n, min(size, blocks.n), replace=False))
    sample = blocks.take(chosen)
    calls = [(_smallest, (b,), (sample, min(k, blocks.n), space)) for b in range(len(blocks.parts))]
    squares = np.sort(np.concatenate(blocks.run(calls), axis=1), axis=1)[:, min(k, blocks.n) - 1]
    return np.sort(from_squares(np.maximum(squares, 0), space))


def _smallest(block: np.ndarray, sample: np.ndarray, k: int, space: Space) -> np.ndarray:
    queries = embed(sample, space)
    norms = np.square(queries).sum(axis=1)[:, None]
    best = np.empty((len(queries), 0))
    for start in range(0, len(block), 8192):
        refs = embed(block[start : start + 8192], space)
        squares = queries @ (-2 * refs.T)
        squares += norms
        squares += np.square(refs).sum(axis=1)
        best = np.concatenate([best, squares], axis=1)
        if best.shape[1] > k:
            best = np.partition(best, k - 1, axis=1)[:, :k]
    return best


def knee(curve: np.ndarray) -> float:
    """The value at the knee of a rising curve (m,), by kneedle (Satopaa et al. 2011); its 95 % quantile without one."""
    from kneed import KneeLocator

    flat = len(curve) < 3 or curve[0] == curve[-1]
    found = None if flat else KneeLocator(np.arange(len(curve)), curve, curve="convex", direction="increasing").knee
    eps = float(np.quantile(curve, 0.95)) if found is None else float(curve[int(found)])
    return max(eps, float(np.finfo(np.float32).tiny))


def core_rows(blocks: Blocks, radius: float, min_samples: int, space: Space, device: str = "cpu") -> np.ndarray:
    """Rows (n,) bool with at least `min_samples` rows within sqrt(`radius`), themselves included."""
    everyone = range(len(blocks.parts))
    pairs = [(i, j) for i in everyone for j in everyone]
    found = blocks.run([(_count, pair, (radius, min_samples, space, device)) for pair in pairs])
    counts = np.zeros(blocks.n, np.int64)
    for (i, _), part in zip(pairs, found, strict=True):
        counts[blocks.rows(i)] += part
    return counts >= min_samples


def _count(queries: np.ndarray, refs: np.ndarray, radius: float, enough: int, space: Space, device: str) -> np.ndarray:
    return count(Cells(refs, space, device=device), queries, radius, enough)


def components(blocks: Blocks, is_core: np.ndarray, radius: float, space: Space, device: str = "cpu") -> np.ndarray:
    """For each core row (c,) the first row of its component of core rows within sqrt(`radius`) of one another."""
    everyone = range(len(blocks.parts))
    pairs = [(i, j) for i in everyone for j in everyone if i < j] or [(0, 0)]
    calls = [
        (_link, (i, j), (is_core[blocks.rows(i)], is_core[blocks.rows(j)], radius, space, device)) for i, j in pairs
    ]
    parent = np.arange(blocks.n)
    for (i, j), links in zip(pairs, blocks.run(calls), strict=True):
        rows = np.concatenate([np.arange(blocks.n)[blocks.rows(b)] for b in dict.fromkeys((i, j))])
        links = rows[links]
        ends = np.column_stack([roots(parent, links[:, 0]), roots(parent, links[:, 1])])
        join(parent, np.unique(ends[ends[:, 0] != ends[:, 1]], axis=0))
    return roots(parent, np.flatnonzero(is_core))


def _link(
    one: np.ndarray,
    other: np.ndarray,
    core_one: np.ndarray,
    core_other: np.ndarray,
    radius: float,
    space: Space,
    device: str,
) -> np.ndarray:
    """Edges (m, 2) of a spanning forest of the core rows of two blocks (or of one, given twice), numbered through."""
    rows, core = (one, core_one)
    if other is not one:
        rows, core = np.concatenate([one, other]), np.concatenate([core_one, core_other])
    ids = np.flatnonzero(core)
    if not len(ids):
        return np.empty((0, 2), np.int64)
    return np.column_stack([ids, ids[link(Cells(rows[ids], space, device=device), radius)]])


def lowest_rank(
    blocks: Blocks, is_core: np.ndarray, rank: np.ndarray, radius: float, space: Space, device: str = "cpu"
) -> np.ndarray:
    """The lowest rank of the core rows within sqrt(`radius`) of each other row (n − c,); FAR where there are none."""
    everyone = range(len(blocks.parts))
    pairs = [(i, j) for i in everyone for j in everyone]
    calls = [
        (
            _lowest,
            (i, j),
            ((is_core[blocks.rows(i)], is_core[blocks.rows(j)]), rank[blocks.rows(j)], radius, space, device),
        )
        for i, j in pairs
    ]
    best = np.full(blocks.n, FAR)
    for (i, _), part in zip(pairs, blocks.run(calls), strict=True):
        rows = np.flatnonzero(~is_core[blocks.rows(i)]) + blocks.starts[i]
        best[rows] = np.minimum(best[rows], part)
    return best[~is_core]


def _lowest(
    one: np.ndarray,
    other: np.ndarray,
    cores: tuple[np.ndarray, np.ndarray],
    rank: np.ndarray,
    radius: float,
    space: Space,
    device: str,
) -> np.ndarray:
    core_one, core_other = cores
    queries = one[~core_one]
    if not core_other.any() or not len(queries):
        return np.full(len(queries), FAR)
    return lowest(Cells(other[core_other], space, device=device), queries, radius, rank[core_other])
