"""Who lies within a radius: exact, in blocks of bounded memory, for density clustering.

Rows are gathered into compact cells round pivots. The triangle inequality leaves out cells that are too far; a float32
matrix product settles all pairs of two near cells but those within its rounding error of the radius, and float64
differences settle these. A row is done as soon as it has the neighbours it needs, and two cells that are already
connected are not compared, so dense data costs far less than all pairs and no neighbour list is ever kept.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.clusterers._distances import Space, paired_squares, points

if TYPE_CHECKING:
    import torch

CELL = 1024  # rows of a cell at most: the float32 products of two cells are 4 MiB
EPS = float(np.finfo(np.float32).eps)
FAR = np.iinfo(np.int64).max


def embed(X: np.ndarray, space: Space) -> np.ndarray:
    """Rows of X as float64 points; under cosine a further column keeps rows of zeros apart from every direction."""
    rows = points(X, space)
    return np.column_stack([rows, ~rows.any(axis=1)]) if space == "cosine" else rows


def _pieces(n: int, step: int) -> Iterator[slice]:
    return (slice(start, start + step) for start in range(0, n, step))


class Meeting(NamedTuple):
    """Query rows (q,) that a cell could be near to, their rough points (q, d), and their least distance to the cell."""

    rows: np.ndarray
    rough: np.ndarray
    cell: int
    gaps: np.ndarray


class Cells:
    """Reference rows in compact cells.

    Attributes:
        order: row numbers cell by cell.
        bounds: (m + 1,) where each cell starts in `order`.
        centres: (m, d) float64 pivots, the origins of the products: small norms make small rounding.
        radii: (m,) the farthest row of each cell from its pivot.
        slack: bound on the error of distances to pivots.
    """

    def __init__(self, X: np.ndarray, space: Space, groups: np.ndarray | None = None, device: str = "cpu") -> None:
        """Gather X (n, d) float32 into cells; with groups (n,) each cell holds rows of one group alone."""
        import torch

        self.X, self.space = X, space
        rough = self.roughly(X)
        pivots = rough[:: max(1, min(CELL // 2, len(X) // 8))].astype(np.float64)
        owner, distance = self._own(rough, pivots)
        keys = owner if groups is None else owner + len(pivots) * groups.astype(np.int64)
        self.order = np.lexsort((distance, keys))
        starts = np.flatnonzero(np.diff(keys[self.order], prepend=-1))
        ends = [*starts[1:], len(X)]
        cuts = [cut for s, e in zip(starts, ends, strict=True) for cut in range(s, e, CELL)]
        self.bounds = np.append(cuts, len(X)).astype(np.int64)
        self.centres = pivots[owner[self.order[cuts]]]
        self.radii = np.maximum.reduceat(distance[self.order], cuts)
        self.slack = 1e-6 * (1 + float(np.sqrt(np.square(self.centres).sum(axis=1).max()) + self.radii.max()))
        self.relative = 4.0 * (rough.shape[1] + 8) * EPS
        self.sizes = np.empty(len(X), np.float32)
        self.factors = torch.from_numpy(self._factors(rough)).to(device)

    def roughly(self, X: np.ndarray) -> np.ndarray:
        """Points of X in float32, for products."""
        rough = [embed(X[part], self.space).astype(np.float32) for part in _pieces(len(X), 8192)]
        return np.concatenate(rough) if rough else np.empty((0, X.shape[1]), np.float32)

    def _own(self, rough: np.ndarray, pivots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        owner, distance = np.empty(len(rough), np.int64), np.empty(len(rough))
        for part in _pieces(len(rough), 4096):
            owner[part] = to_centres(rough[part], pivots).argmin(axis=1)
            distance[part] = np.sqrt(paired_squares(rough[part], pivots[owner[part]]))
        return owner, distance

    def _factors(self, rough: np.ndarray) -> np.ndarray:
        """Right factors (n, d + 1) cell by cell: −2 x, and |x|² less its rounding error, x seen from the pivot."""
        factors = np.empty((len(rough), rough.shape[1] + 1), np.float32)
        for cell in range(len(self.radii)):
            part = self.part(cell)
            centred = rough[self.order[part]] - self.centres[cell].astype(np.float32)
            self.sizes[part] = np.einsum("ij,ij->i", centred, centred)
            factors[part, :-1] = -2 * centred
            factors[part, -1] = self.sizes[part] * (1 - self.relative)
        return factors

    def part(self, cell: int) -> slice:
        """Where a cell's rows stand in `order`."""
        return slice(int(self.bounds[cell]), int(self.bounds[cell + 1]))

    def members(self, cell: int) -> np.ndarray:
        """Row numbers of a cell."""
        return self.order[self.part(cell)]

    def blur(self, square: float) -> float:
        """Absolute error of a squared distance near `square` when unit vectors (cosine) are rounded to float32."""
        return 4 * EPS * (square**0.5 + EPS) if self.space == "cosine" else 0.0

    def lower(self, rough: np.ndarray, cell: int) -> "tuple[torch.Tensor, np.ndarray]":
        """Lower bounds (q, r) of the squared distances to a cell's rows, less the |a|² (1 − error) of each query row.

        Returns:
            the bounds on the device, and |a|² (q,) float64 seen from the cell's pivot.
        """
        import torch

        left = np.ones((len(rough), rough.shape[1] + 1), np.float32)
        np.subtract(rough, self.centres[cell].astype(np.float32), out=left[:, :-1])
        own = np.einsum("ij,ij->i", left[:, :-1], left[:, :-1]).astype(np.float64)
        factors = self.factors[self.part(cell)]
        return torch.from_numpy(left).to(factors.device) @ factors.T, own

    def close(self, Q: np.ndarray, rough: np.ndarray, cell: int, radius: float) -> np.ndarray:
        """Which query rows (q, d) lie within sqrt(`radius`) of which rows of a cell: (q, r) bool, exact.

        Args:
            Q: query rows as they were given.
            rough: the same rows through `roughly`.
            cell: the cell.
            radius: the squared radius, included.
        """
        import torch

        lower, own = self.lower(rough, cell)
        blur = self.blur(radius)
        cut = radius + blur - own * (1 - self.relative)
        cut = np.nextafter(cut.astype(np.float32), np.float32(np.inf))
        sure = cut - 2 * blur - 2.1 * self.relative * (own + float(self.sizes[self.part(cell)].max()) + radius)
        near = lower <= torch.from_numpy(cut)[:, None].to(lower.device)
        doubt = near & (lower > torch.from_numpy(sure.astype(np.float32))[:, None].to(lower.device))
        i, j = (side.cpu().numpy() for side in torch.nonzero(doubt, as_tuple=True))
        inside = near.cpu().numpy()
        inside[i, j] = self.exact(Q, i, cell, j) <= radius
        return inside

    def exact(self, Q: np.ndarray, i: np.ndarray, cell: int, j: np.ndarray) -> np.ndarray:
        """Exact squared distances (p,) of query rows i (p,) to the rows j (p,) of a cell."""
        refs, squares = self.members(cell)[j], np.empty(len(i))
        for part in _pieces(len(i), 1 << 14):
            squares[part] = paired_squares(embed(Q[i[part]], self.space), embed(self.X[refs[part]], self.space))
        return squares

    def meetings(self, Q: np.ndarray, radius: float) -> Iterator[Meeting]:
        """Query rows and the cells that may hold rows within sqrt(`radius`): each row's nearest cell first.

        The caller leaves out rows that are done, so that what is left of many rows meets a cell in one product.
        """
        reach = np.sqrt(radius) + self.slack
        for slab in _pieces(len(Q), max(CELL, (1 << 22) // len(self.radii))):
            rough = self.roughly(Q[slab])
            gaps = np.concatenate([to_centres(rough[p], self.centres) for p in _pieces(len(rough), 1024)])
            home = gaps.argmin(axis=1)
            gaps -= self.radii
            for at_home in (True, False):
                for cell in range(len(self.radii)):
                    rows = np.flatnonzero((gaps[:, cell] <= reach) & ((home == cell) == at_home))
                    if len(rows):
                        yield Meeting(slab.start + rows, rough[rows], cell, gaps[rows, cell])


def to_centres(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Distances (q, m) float64 of rows to pivots by expansion; the error is within the `slack` of cells."""
    rows = rows.astype(np.float64)
    squares = rows @ (-2 * centres.T)
    squares += np.square(rows).sum(axis=1)[:, None]
    squares += np.square(centres).sum(axis=1)
    return np.sqrt(np.maximum(squares, 0, out=squares), out=squares)


def count(cells: Cells, Q: np.ndarray, radius: float, enough: int) -> np.ndarray:
    """Reference rows within sqrt(`radius`) of each query row (q,): exact below `enough`, else at least `enough`."""
    counts = np.zeros(len(Q), np.int64)
    for rows, rough, cell, _ in cells.meetings(Q, radius):
        open_ = np.flatnonzero(counts[rows] < enough)
        for part in _pieces(len(open_), CELL):
            some = open_[part]
            inside = cells.close(Q[rows[some]], rough[some], cell, radius)
            counts[rows[some]] += np.count_nonzero(inside, axis=1)
    return counts


def lowest(cells: Cells, Q: np.ndarray, radius: float, rank: np.ndarray) -> np.ndarray:
    """The lowest rank of the reference rows within sqrt(`radius`) of each query row (q,); FAR where there are none.

    Args:
        cells: reference rows.
        Q: query rows.
        radius: the squared radius.
        rank: (n,) int64 rank of each reference row.
    """
    best = np.full(len(Q), FAR)
    floors = [rank[cells.members(cell)].min() for cell in range(len(cells.radii))]
    for rows, rough, cell, _ in cells.meetings(Q, radius):
        open_ = np.flatnonzero(best[rows] > floors[cell])
        for part in _pieces(len(open_), CELL):
            some = open_[part]
            inside = cells.close(Q[rows[some]], rough[some], cell, radius)
            found = np.where(inside, rank[cells.members(cell)], FAR).min(axis=1)
            best[rows[some]] = np.minimum(best[rows[some]], found)
    return best


def link(cells: Cells, radius: float) -> np.ndarray:
    """Connected components (n,) of the reference rows under "within sqrt(`radius`)": the lowest row of each."""
    parent = np.arange(len(cells.X))
    for cell in range(len(cells.radii)):
        _link_within(cells, parent, cell, radius)
    away = to_centres(cells.centres, cells.centres)
    i, j = np.nonzero(np.triu(away - cells.radii - cells.radii[:, None] <= np.sqrt(radius) + 2 * cells.slack, 1))
    for pair in np.argsort(away[i, j], kind="stable"):
        _link_between(cells, parent, int(i[pair]), int(j[pair]), radius)
    return roots(parent, np.arange(len(parent)))


def _link_within(cells: Cells, parent: np.ndarray, cell: int, radius: float) -> None:
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    rows = cells.members(cell)
    inside = cells.close(cells.X[rows], cells.roughly(cells.X[rows]), cell, radius)
    _, part = connected_components(sp.csr_matrix(inside), directed=False)
    lowest_row = np.full(part.max() + 1, FAR)
    np.minimum.at(lowest_row, part, rows)
    parent[rows] = lowest_row[part]


def _link_between(cells: Cells, parent: np.ndarray, one: int, other: int, radius: float) -> None:
    a, b = cells.members(one), cells.members(other)
    roots_a, roots_b = roots(parent, a), roots(parent, b)
    if (roots_b == roots_b[0]).all():  # rows of this component already need no look
        a, roots_a = a[roots_a != roots_b[0]], roots_a[roots_a != roots_b[0]]
    if not len(a):
        return
    inside = cells.close(cells.X[a], cells.roughly(cells.X[a]), other, radius)
    ids_a, at_a = np.unique(roots_a, return_inverse=True)
    ids_b, at_b = np.unique(roots_b, return_inverse=True)
    i, j = np.nonzero(inside)
    met = np.zeros((len(ids_a), len(ids_b)), bool)
    met[at_a[i], at_b[j]] = True
    i, j = np.nonzero(met)
    join(parent, np.column_stack([ids_a[i], ids_b[j]]))


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
