"""What the clusterers share: checking rows, numbering segments, segments that are their centroids."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas.errors import DataError
from schemas.evaluation import Assignment
from tasks.clusterers._distances import Space, nearest
from tasks.numerics.groups import canonical
from tasks.numerics.robust import MAD_TO_STD

LARGEST = 1e15  # squares of larger values overflow float32
OUTLIER_Z = 50.0


def check_rows(X: np.ndarray, width: int | None = None, start: int = 0) -> np.ndarray:
    """X as a C-ordered float32 array (n, d).

    Args:
        X: rows.
        width: columns that it was fitted on; None: any.
        start: number of its first row, where X is a block of more rows.

    Raises:
        DataError: X is no matrix, is empty, has another width, or holds NaN, inf or values too large to square; the
            column is named.
    """
    if X.ndim != 2 or X.shape[0] == 0 or X.shape[1] == 0:
        raise DataError(f"the vectors must be a matrix with at least one row and one column, not of shape {X.shape}")
    if width is not None and X.shape[1] != width:
        raise DataError(f"the vectors have {X.shape[1]} columns, the segments were fitted on {width}: align them")
    with np.errstate(over="ignore", invalid="ignore"):
        rows = np.ascontiguousarray(X, dtype=np.float32)
        flat = rows.ravel()
        if float(np.dot(flat, flat)) <= LARGEST:  # one quick pass proves that every value is finite and small
            return rows
        if float(np.max(rows)) <= LARGEST and float(np.min(rows)) >= -LARGEST:
            return rows
    bad = ~(np.abs(X) <= LARGEST)
    column = int(bad.any(axis=0).argmax())
    row = int(bad[:, column].argmax())
    raise DataError(
        f"column {column} of the vectors holds {X[row, column]} in row {start + row} ({int(bad.sum())} such values in "
        "all): fill, clip or set aside what is not a finite number"
    )


def check_k(n: int, k: int) -> None:
    """Refuse fewer rows than segments.

    Raises:
        DataError: n is less than k, or not known.
    """
    check_known(n)
    if n < k:
        raise DataError(f"{n} users cannot make {k} segments: lower k to {n} or bring more users")


def is_dask(X: Any) -> bool:
    """Whether X is a Dask array, asked without importing Dask."""
    return type(X).__module__.partition(".")[0] == "dask"


def check_known(n: float) -> None:
    """Refuse a Dask array that does not know how many rows it has.

    Raises:
        DataError: n is NaN.
    """
    if n != n:
        raise DataError("the Dask array does not know its number of rows: call its compute_chunk_sizes() first")


def row_blocks(X: Any) -> list[tuple[Any, int, int]]:
    """The row blocks of a Dask array (n, d) that hold rows: each delayed, with its first row and its number of rows."""
    check_known(X.shape[0])
    X = X.rechunk({1: -1})
    sizes = np.array(X.chunks[0], np.int64)
    starts = np.cumsum(sizes) - sizes
    found = zip(X.to_delayed().ravel(), starts.tolist(), sizes.tolist(), strict=True)
    return [(block, start, size) for block, start, size in found if size]


def in_memory(X: Any) -> np.ndarray:
    """X as an array; a Dask array is computed."""
    return np.asarray(X)


def outlier_warnings(X: np.ndarray, labels: np.ndarray) -> list[str]:
    """A line for each segment of hardly anyone (one user, or under 1 in 1000) that extreme values have made.

    Extreme: more than 50 robust deviations, |x − median| / (1.4826 MAD), of a sample of at most 10,000 rows.
    """
    names, sizes = np.unique(labels[labels >= 0], return_counts=True)
    tiny = names[sizes <= max(1, len(X) // 1000)]
    if not len(tiny) or len(X) < 3:
        return []
    sample = np.asarray(X[:: max(1, len(X) // 10_000)], dtype=np.float64)  # of a Dask array too
    middle = np.median(sample, axis=0)
    spread = MAD_TO_STD * np.median(np.abs(sample - middle), axis=0)
    spread = np.where(spread > 0, spread, np.abs(sample - middle).mean(axis=0))
    spread = np.where(spread > 0, spread, 1.0)
    lines = []
    for segment in tiny:
        rows = np.flatnonzero(labels == segment)
        z = np.abs(np.asarray(X[rows], dtype=np.float64) - middle) / spread
        if z.max(axis=1).min() > OUTLIER_Z:
            row, column = rows[0], int(z[0].argmax())
            lines.append(
                f"segment {segment} holds only {len(rows)} extreme user(s): row {row} is {z[0, column]:.3g} robust "
                f"deviations from the median in column {column}; clip it or set it aside"
            )
    return lines


def fewer_warnings(asked: int, found: int) -> list[str]:
    """A line where the rows made fewer segments than were asked for."""
    return [f"{asked} segments were asked for, the distinct rows make only {found}"] if found < asked else []


@dataclass
class Centroids:
    """Segments that are the nearest of k centroids.

    Attributes:
        centroids: (k, d) float64.
        space: the space of distances.
        labels: (n,) int32 of the rows it was fitted on; empty after loading.
        extras: figures of the fit.
    """

    centroids: np.ndarray
    space: Space
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    extras: dict[str, Any] = field(default_factory=dict)

    def assign(self, X: np.ndarray) -> Assignment:
        """The nearest centroid of each row of X (n, d)."""
        return Assignment(*nearest(check_rows(X, self.centroids.shape[1]), self.centroids, self.space))

    def arrays(self) -> dict[str, np.ndarray]:
        """The centroids."""
        return {"centroids": self.centroids}


def assign_blocks(X: Any, centroids: np.ndarray, space: Space) -> tuple[np.ndarray, float]:
    """Labels (n,) of all rows of X, an array or a Dask array read block by block, and their squared inertia."""
    if not is_dask(X):
        return _assigned(X, centroids, space)
    import dask

    task = dask.delayed(lambda block, start: _assigned(check_rows(np.asarray(block), start=start), centroids, space))
    parts = dask.compute(*[task(block, start) for block, start, _ in row_blocks(X)])
    return np.concatenate([p[0] for p in parts]), sum(p[1] for p in parts)


def _assigned(X: np.ndarray, centroids: np.ndarray, space: Space) -> tuple[np.ndarray, float]:
    labels, distance, _ = nearest(X, centroids, space)
    return labels, float(np.square(distance).sum() if space == "euclidean" else 2 * distance.sum())


def settle(X: Any, centroids: np.ndarray, space: Space, inertia: float | None = None) -> Centroids:
    """Centroids numbered canonically, labels by the same code that assigns, and the squared inertia of those labels.

    A centroid that no row is nearest to is dropped and told in `extras["warnings"]`. A known `inertia`, of rows in
    memory under Euclid, spares the exact distances.
    """
    if inertia is None:
        labels, inertia = assign_blocks(X, centroids, space)
    else:
        from tasks.clusterers._proven import label_rows

        labels = label_rows(X, centroids)
    labels, order = canonical(labels)
    warnings = outlier_warnings(X, labels) + fewer_warnings(len(centroids), len(order))
    extras = {"inertia": inertia, "warnings": warnings}
    return Centroids(np.ascontiguousarray(centroids[order]), space, labels, extras)
