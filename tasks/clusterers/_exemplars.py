"""Segments that are sets of rows: a new row belongs with the nearest of them."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from schemas.evaluation import Assignment
from tasks.clusterers._common import check_rows
from tasks.clusterers._distances import Space, from_squares, paired_squares
from tasks.clusterers._neighbours import Cells, embed


@dataclass
class Exemplars:
    """Segments given by rows that stand for them: core points, or centres of small clusters.

    Attributes:
        rows: (m, d) float32 exemplars; none where everything is noise.
        groups: (m,) int32 their segments.
        space: the space of distances.
        reach: a row farther than this from every exemplar is noise, in `space`; inf: none is.
        labels: (n,) int32 of the rows it was fitted on; empty after loading.
        extras: figures of the fit.
    """

    rows: np.ndarray
    groups: np.ndarray
    space: Space
    reach: float = np.inf
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    extras: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def cells(self) -> Cells:
        """The exemplars in cells of one segment each, made at the first use."""
        return Cells(self.rows, self.space, self.groups)

    def assign(self, X: np.ndarray) -> Assignment:
        """The segment of the nearest exemplar of each row of X (n, d), or −1 beyond `reach`.

        Distance is to the nearest exemplar, second the next nearest segment; of noise it is the nearest one. Exact
        float64 differences, ties to the lower segment.
        """
        X = check_rows(X)
        n = len(X)
        labels, second = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
        squares = np.full(n, np.inf)
        if len(self.rows):
            for rows, rough, _, gaps in self.cells.visits(X, np.inf):
                labels[rows], squares[rows], second[rows] = self._nearest(X[rows], rough, gaps)
        distance = from_squares(squares, self.space)
        noise = distance > self.reach
        second[noise] = labels[noise]
        labels[noise] = -1
        return Assignment(labels, distance, second)

    def arrays(self) -> dict[str, np.ndarray]:
        """The exemplars, their segments and the reach."""
        return {"rows": self.rows, "groups": self.groups, "reach": np.array([self.reach])}

    def _nearest(self, X: np.ndarray, rough: np.ndarray, gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        cells = self.cells
        owner = self.groups[cells.order[cells.bounds[:-1]]]
        best = np.full((len(X), int(self.groups.max()) + 1), np.inf)  # exact squares, per segment
        for cell in np.argsort(gaps.mean(axis=0), kind="stable"):
            bound = np.partition(best, 1, axis=1)[:, 1] if best.shape[1] > 1 else best[:, 0]
            lower = np.maximum(gaps[:, cell] - 2 * cells.slack, 0)
            open_ = np.flatnonzero(lower * lower <= bound)
            if len(open_):
                found = self._in_cell(X[open_], rough[open_], int(cell), bound[open_])
                best[open_, owner[cell]] = np.minimum(best[open_, owner[cell]], found)
        return _two_best(best)

    def _in_cell(self, X: np.ndarray, rough: np.ndarray, cell: int, bound: np.ndarray) -> np.ndarray:
        """Exact least squares (q,) to a cell's exemplars where they are at most `bound`, else inf."""
        cells = self.cells
        refs = cells.members(cell)
        origin = cells.centres[cell].astype(np.float32)
        A, B = rough - origin, cells.rough[refs] - origin
        a, b = np.einsum("ij,ij->i", A, A), np.einsum("ij,ij->i", B, B)
        squares = A @ (-2 * B.T)
        squares += b
        least = squares.min(axis=1)
        relative, blur = cells.rounding(A.shape[1], 4.0)
        error = relative * (a.astype(np.float64) + b.max()) + blur
        hope = least + a - error <= bound
        i, j = np.nonzero(squares <= np.where(hope, least + 2.1 * error, -np.inf).astype(np.float32)[:, None])
        found = np.full(len(X), np.inf)
        for start in range(0, len(i), 1 << 15):
            part = slice(start, start + (1 << 15))
            pairs = paired_squares(embed(X[i[part]], self.space), embed(cells.X[refs[j[part]]], self.space))
            np.minimum.at(found, i[part], pairs)
        return found


def _two_best(squares: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    everyone = np.arange(len(squares))
    labels = squares.argmin(axis=1)
    least = squares[everyone, labels]
    if squares.shape[1] == 1:
        return labels, least, np.full(len(squares), -1)
    squares[everyone, labels] = np.inf
    return labels, least, squares.argmin(axis=1)


def from_arrays(arrays: dict[str, np.ndarray], space: Space) -> Exemplars:
    """The fitted exemplars again, from `Exemplars.arrays()`."""
    return Exemplars(arrays["rows"], arrays["groups"], space, float(arrays["reach"][0]))
