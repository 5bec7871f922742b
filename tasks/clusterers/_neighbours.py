"""Who lies within a radius: exact, in blocks of bounded memory, for density clustering.

Rows are gathered into compact cells round pivots. The triangle inequality leaves out cells that are too far; a float32
matrix product settles all pairs of two near cells but those within its rounding error of the radius, and float64
differences settle these. A row is done as soon as it has the neighbours it needs, and two cells that are already
connected are not compared, so dense data costs far less than all pairs and no neighbour list is ever kept.
"""

from collections.abc import Iterator

import numpy as np

from tasks.clusterers._distances import Space, paired_squares, points

CELL = 1024  # rows of a cell at most: a float32 block of two cells is 4 MiB
FAR = np.iinfo(np.int64).max


def embed(X: np.ndarray, space: Space) -> np.ndarray:
    """Rows of X as float64 points; under cosine a further column keeps rows of zeros apart from every direction."""
    rows = points(X, space)
    return np.column_stack([rows, ~rows.any(axis=1)]) if space == "cosine" else rows


def _pieces(n: int, step: int) -> Iterator[slice]:
    return (slice(start, start + step) for start in range(0, n, step))


class Cells:
    """Reference rows in compact cells.

    Attributes:
        order: row numbers cell by cell.
        bounds: (m + 1,) where each cell starts in `order`.
        centres: (m, d) float64 pivots.
        radii: (m,) the farthest row of each cell from its pivot.
    """

    def __init__(self, X: np.ndarray, space: Space, groups: np.ndarray | None = None) -> None:
        """Gather X (n, d) float32 into cells; with groups (n,) each cell holds rows of one group alone."""
        self.X, self.space = X, space
        self.rough = self.roughly(X)
        pivots = self.rough[:: max(1, min(CELL // 2, len(X) // 8))].astype(np.float64)
        owner, distance = self._own(pivots)
        keys = owner if groups is None else owner + len(pivots) * groups.astype(np.int64)
        self.order = np.lexsort((distance, keys))
        starts = np.flatnonzero(np.diff(keys[self.order], prepend=-1))
        ends = [*starts[1:], len(X)]
        cuts = [cut for s, e in zip(starts, ends, strict=True) for cut in range(s, e, CELL)]
        self.bounds = np.append(cuts, len(X)).astype(np.int64)
        self.centres = pivots[owner[self.order[cuts]]]
        self.radii = np.maximum.reduceat(distance[self.order], cuts)
        self.slack = 1e-6 * (1 + float(np.sqrt(np.square(self.centres).sum(axis=1).max()) + self.radii.max()))

    def roughly(self, X: np.ndarray) -> np.ndarray:
        """Points of X in float32, for products."""
        rough = [embed(X[part], self.space).astype(np.float32) for part in _pieces(len(X), 65536)]
        return np.concatenate(rough) if rough else np.empty((0, X.shape[1]), np.float32)

    def _own(self, pivots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        owner, distance = np.empty(len(self.X), np.int64), np.empty(len(self.X))
        for part in _pieces(len(self.X), 4096):
            rows = self.rough[part]
            owner[part] = self.to_centres(rows, pivots).argmin(axis=1)
            distance[part] = np.sqrt(paired_squares(rows, pivots[owner[part]]))
        return owner, distance

    @staticmethod
    def to_centres(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
        """Distances (q, m) to the pivots; the error is within `slack`."""
        rows = rows.astype(np.float64)
        squares = rows @ (-2 * centres.T)
        squares += np.square(rows).sum(axis=1)[:, None]
        squares += np.square(centres).sum(axis=1)
        return np.sqrt(np.maximum(squares, 0, out=squares), out=squares)

    def members(self, cell: int) -> np.ndarray:
        """Row numbers of a cell."""
        return self.order[self.bounds[cell] : self.bounds[cell + 1]]

    def close(self, Q: np.ndarray, rough: np.ndarray, refs: np.ndarray, cell: int, radius: float) -> np.ndarray:
        """Which query rows (q, d) lie within sqrt(`radius`) of which reference rows `refs` of a cell: (q, r) bool.

        Args:
            Q: query rows as they were given.
            rough: the same rows through `roughly`.
            refs: row numbers within the cell.
            cell: the cell, whose pivot is the origin of the product (small norms, small rounding).
            radius: the squared radius, included.
        """
        origin = self.centres[cell].astype(np.float32)
        A, B = rough - origin, self.rough[refs] - origin
        a, b = np.einsum("ij,ij->i", A, A), np.einsum("ij,ij->i", B, B)
        error, blur = self.rounding(A.shape[1], radius)
        lower = A @ (-2 * B.T)
        lower += b * np.float32(1 - error)
        cut = radius + blur - a.astype(np.float64) * (1 - error)
        inside = lower <= np.nextafter(cut.astype(np.float32), np.float32(np.inf))[:, None]
        sure = cut - 2 * blur - 2.1 * error * (a + float(b.max(initial=0)) + radius)
        doubt = inside & (lower > sure.astype(np.float32)[:, None])
        i, j = np.nonzero(doubt)
        for part in _pieces(len(i), 1 << 15):
            pairs = paired_squares(embed(Q[i[part]], self.space), embed(self.X[refs[j[part]]], self.space))
            inside[i[part], j[part]] = pairs <= radius
        return inside

    def rounding(self, d: int, square: float) -> tuple[float, float]:
        """Bounds on the error of a float32 squared distance near `square`: relative to the norms, and absolute.

        The absolute one is of unit vectors rounded to float32 (cosine); given rows are float32 already.
        """
        eps = float(np.finfo(np.float32).eps)
        return 4.0 * (d + 8) * eps, 4 * eps * (square**0.5 + eps) if self.space == "cosine" else 0.0

    def visits(self, Q: np.ndarray, radius: float) -> Iterator[tuple[np.ndarray, np.ndarray, list[int], np.ndarray]]:
        """Query rows in groups of one nearest cell, each with the cells in reach, nearest first.

        Yields:
            rows (q,) of Q, their rough points (q, d), cells, gaps (q, m): least distance of a row to a cell's rows.
        """
        rough = self.roughly(Q)
        home = np.concatenate([self.to_centres(rough[p], self.centres).argmin(axis=1) for p in _pieces(len(Q), 4096)])
        groups = np.argsort(home, kind="stable")
        cuts = np.flatnonzero(np.diff(home[groups], prepend=-1))
        for whole in np.split(groups, cuts[1:]):
            for part in _pieces(len(whole), CELL):
                rows = whole[part]
                away = self.to_centres(rough[rows], self.centres)
                gaps = away - self.radii
                reach = np.flatnonzero(gaps.min(axis=0) <= np.sqrt(radius) + self.slack)
                nearest = reach[np.argsort(away.mean(axis=0)[reach], kind="stable")]
                yield rows, rough[rows], nearest.tolist(), gaps

    def count(self, Q: np.ndarray, radius: float, enough: int) -> np.ndarray:
        """Reference rows within sqrt(`radius`) of each query row (q,), exact below `enough`, else at least `enough`."""
        counts = np.zeros(len(Q), np.int64)
        for rows, rough, cells, gaps in self.visits(Q, radius):
            for cell in cells:
                open_ = (counts[rows] < enough) & (gaps[:, cell] <= np.sqrt(radius) + self.slack)
                if open_.any():
                    inside = self.close(Q[rows[open_]], rough[open_], self.members(cell), cell, radius)
                    counts[rows[open_]] += np.count_nonzero(inside, axis=1)
        return counts

    def lowest(self, Q: np.ndarray, radius: float, rank: np.ndarray) -> np.ndarray:
        """The lowest rank of the reference rows within sqrt(`radius`) of each query row (q,); FAR where there are none.

        Args:
            Q: query rows.
            radius: the squared radius.
            rank: (n,) int64 rank of each reference row.
        """
        best = np.full(len(Q), FAR)
        floors = [rank[self.members(cell)].min() for cell in range(len(self.radii))]
        for rows, rough, cells, gaps in self.visits(Q, radius):
            for cell in cells:
                open_ = (best[rows] > floors[cell]) & (gaps[:, cell] <= np.sqrt(radius) + self.slack)
                if open_.any():
                    members = self.members(cell)
                    inside = self.close(Q[rows[open_]], rough[open_], members, cell, radius)
                    found = np.where(inside, rank[members], FAR).min(axis=1)
                    best[rows[open_]] = np.minimum(best[rows[open_]], found)
        return best

    def link(self, radius: float) -> np.ndarray:
        """Connected components (n,) of the reference rows under "within sqrt(`radius`)": the lowest row of each."""
        parent = np.arange(len(self.X))
        for cell in range(len(self.radii)):
            self._link_within(parent, cell, radius)
        away = self.to_centres(self.centres, self.centres)
        i, j = np.nonzero(np.triu(away - self.radii - self.radii[:, None] <= np.sqrt(radius) + 2 * self.slack, 1))
        for pair in np.argsort(away[i, j], kind="stable"):
            self._link_between(parent, int(i[pair]), int(j[pair]), radius)
        return roots(parent, np.arange(len(self.X)))

    def _link_within(self, parent: np.ndarray, cell: int, radius: float) -> None:
        import scipy.sparse as sp
        from scipy.sparse.csgraph import connected_components

        rows = np.sort(self.members(cell))
        inside = self.close(self.X[rows], self.rough[rows], rows, cell, radius)
        _, part = connected_components(sp.csr_matrix(inside), directed=False)
        _, first = np.unique(part, return_index=True)
        parent[rows] = rows[first[part]]

    def _link_between(self, parent: np.ndarray, one: int, other: int, radius: float) -> None:
        a, b = self.members(one), self.members(other)
        roots_a, roots_b = roots(parent, a), roots(parent, b)
        if roots_a[0] == roots_b[0] and (roots_a == roots_a[0]).all() and (roots_b == roots_b[0]).all():
            return
        inside = self.close(self.X[a], self.rough[a], b, other, radius)
        inside &= roots_a[:, None] != roots_b
        i, j = np.nonzero(inside)
        if len(i):
            join(parent, np.unique(np.column_stack([roots_a[i], roots_b[j]]), axis=0))


def roots(parent: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The root (m,) of each of the rows in a forest of parents; paths are shortened on the way."""
    up = parent[rows]
    while True:
        higher = parent[up]
        if np.array_equal(higher, up):
            break
        up = higher
    parent[rows] = up
    return up


def join(parent: np.ndarray, pairs: np.ndarray) -> None:
    """Join the trees of each pair (m, 2) in a forest of parents; the lower root stays the root."""
    for one, other in pairs.tolist():
        while parent[one] != one:
            one = int(parent[one])
        while parent[other] != other:
            other = int(parent[other])
        parent[max(one, other)] = min(one, other)
