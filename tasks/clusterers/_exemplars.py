"""Segments that are sets of rows: a new row belongs with the nearest of them."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from schemas.evaluation import Assignment
from tasks.clusterers._common import check_rows
from tasks.clusterers._distances import Space, distances_to, from_squares
from tasks.clusterers._neighbours import CELL, Cells


@dataclass
class Exemplars:
    """Segments given by rows that stand for them: core points, or centres of small clusters.

    Attributes:
        rows: (m, d) float32 exemplars; none where everything is noise.
        groups: (m,) int32 their segments.
        space: the space of distances.
        reach: (k,) a row farther than this from the nearest segment's exemplars is noise, in `space`; None: none is.
        labels: (n,) int32 of the rows it was fitted on; empty after loading.
        extras: figures of the fit.
        centroids: (k, d) float64; where given, distances are told to these, while exemplars decide.
    """

    rows: np.ndarray
    groups: np.ndarray
    space: Space
    reach: np.ndarray | None = None
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    extras: dict[str, Any] = field(default_factory=dict)
    centroids: np.ndarray | None = None

    @cached_property
    def cells(self) -> Cells:
        """The exemplars in cells of one segment each, made at the first use."""
        return Cells(self.rows, self.space, self.groups)

    def assign(self, X: np.ndarray) -> Assignment:
        """The segment of the nearest exemplar of each row of X (n, d), or −1 beyond `reach`.

        Distance is to the nearest exemplar (or the segment's centroid), second the next nearest segment; of noise it is
        the nearest one. Exact float64 differences, ties to the lower segment.
        """
        X = check_rows(X, self.rows.shape[1])
        if not len(self.rows):
            nothing = np.full(len(X), -1, np.int32)
            return Assignment(nothing, np.full(len(X), np.inf), nothing.copy())
        labels, squares, second = two_best(self._squares(X))
        distance = from_squares(squares, self.space)
        noise = np.zeros(len(X), bool) if self.reach is None else distance > self.reach[labels]
        if self.centroids is not None:
            distance = distances_to(X, self.centroids, labels, self.space)
        second[noise] = labels[noise]
        labels[noise] = -1
        return Assignment(labels, distance, second)

    def arrays(self) -> dict[str, np.ndarray]:
        """The exemplars and their segments, the reach and the centroids where there are any."""
        extra = {"reach": self.reach, "centroids": self.centroids}
        given = {key: values for key, values in extra.items() if values is not None}
        return {"rows": self.rows, "groups": self.groups, **given}

    def _squares(self, X: np.ndarray) -> np.ndarray:
        """Exact least squares (n, k) to each segment where it may be the nearest or second, else inf."""
        cells = self.cells
        owner = self.groups[cells.order[cells.bounds[:-1]]]
        best = np.full((len(X), int(self.groups.max()) + 1), np.inf)
        bound = np.full(len(X), np.inf)  # the second best so far: a cell farther than this can't matter
        for rows, rough, cell, gaps in cells.meetings(X, np.inf):
            segment = owner[cell]
            lower = np.maximum(gaps - cells.slack, 0)
            open_ = np.flatnonzero(lower * lower <= np.maximum(bound[rows], 0))
            for start in range(0, len(open_), CELL):
                some = open_[start : start + CELL]
                here = rows[some]
                found = _least(cells, X[here], rough[some], cell, bound[here])
                best[here, segment] = np.minimum(best[here, segment], found)
                bound[here] = best[here, 0] if best.shape[1] == 1 else np.partition(best[here], 1, axis=1)[:, 1]
        return best


def _least(cells: Cells, X: np.ndarray, rough: np.ndarray, cell: int, bound: np.ndarray) -> np.ndarray:
    """Exact least squares (q,) of query rows to a cell's rows where they are at most `bound`, else inf."""
    import torch

    lower, own = cells.lower(rough, cell)
    least = lower.amin(dim=1)
    floor = least.cpu().numpy() + own * (1 - cells.relative) - cells.blur(4.0)
    error = cells.relative * (own + float(cells.sizes[cells.part(cell)].max())) + cells.blur(4.0)
    hope = np.flatnonzero(floor <= bound)
    cut = (least.cpu().numpy()[hope] + 2.1 * error[hope]).astype(np.float32)
    near = lower[torch.from_numpy(hope)] <= torch.from_numpy(cut)[:, None].to(lower.device)
    i, j = (side.cpu().numpy() for side in torch.nonzero(near, as_tuple=True))
    found = np.full(len(X), np.inf)
    np.minimum.at(found, hope[i], cells.exact(X, hope[i], cell, j))
    return found


def two_best(squares: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The column (n,) of the least value of each row, the value, and the column of the next; ties to the lower."""
    everyone = np.arange(len(squares))
    labels = squares.argmin(axis=1).astype(np.int32)
    least = squares[everyone, labels]
    if squares.shape[1] == 1:
        return labels, least, np.full(len(squares), -1, np.int32)
    squares[everyone, labels] = np.inf
    return labels, least, squares.argmin(axis=1).astype(np.int32)


def from_arrays(arrays: dict[str, np.ndarray], space: Space) -> Exemplars:
    """The fitted exemplars again, from `Exemplars.arrays()`."""
    reach, centroids = arrays.get("reach"), arrays.get("centroids")
    return Exemplars(arrays["rows"], arrays["groups"], space, reach, centroids=centroids)
