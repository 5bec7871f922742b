"""Labels as codes 0..k-1, and row chunks: what every metric starts from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.errors import DataError

CHUNK_VALUES = 4_000_000
"""Values in one chunk of rows (32 MB as float64): bounds the memory above the data."""


@dataclass(frozen=True)
class Codes:
    """Labels renumbered without gaps.

    Attributes:
        names: (k,) the distinct labels, ascending, without noise.
        codes: (n,) int64 in 0..k-1, −1 for noise.
        counts: (k,) members of each segment.
    """

    names: np.ndarray
    codes: np.ndarray
    counts: np.ndarray

    @property
    def k(self) -> int:
        """Number of segments."""
        return len(self.names)

    @property
    def noise_share(self) -> float:
        """Share of rows without a segment."""
        return float(np.mean(self.codes < 0)) if len(self.codes) else 0.0

    def by_segment(self, values: np.ndarray) -> dict[str, float]:
        """Means of (n,) values per segment, keyed by label."""
        member = self.codes >= 0
        totals = np.bincount(self.codes[member], weights=values[member], minlength=self.k)
        return {str(name): float(mean) for name, mean in zip(self.names, totals / self.counts, strict=True)}


def encode(labels: np.ndarray, rows: int | None = None) -> Codes:
    """Renumber labels; negative labels are noise.

    Args:
        labels: (n,) integers.
        rows: Rows that the labels must align with; None: not checked.

    Raises:
        DataError: `labels` is not one integer per row.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or (rows is not None and len(labels) != rows):
        raise DataError(f"labels: expected one per row ({rows}), got shape {labels.shape}")
    names, codes = np.unique(labels, return_inverse=True)
    noise = int(np.sum(names < 0))
    codes = np.maximum(codes.reshape(-1).astype(np.int64) - noise, -1)
    k = len(names) - noise
    return Codes(names[noise:], codes, np.bincount(codes[codes >= 0], minlength=k))


def chunks(X: np.ndarray, width: int = 0, origin: np.ndarray | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of X as float64, chunk by chunk.

    Args:
        X: (n, d) numbers.
        width: Columns of what the caller makes per row, where more than d.
        origin: (d,) subtracted from every row.

    Yields:
        (slice of the rows, (m, d) float64).

    Raises:
        DataError: X is not a matrix, or holds NaN or infinity (the column is named).
    """
    if X.ndim != 2:
        raise DataError(f"vectors: expected (rows, columns), got shape {X.shape}")
    step = max(256, CHUNK_VALUES // max(X.shape[1], width, 1))
    for start in range(0, len(X), step):
        rows = slice(start, min(start + step, len(X)))
        with np.errstate(invalid="ignore"):  # infinity is refused below, with its place
            chunk = np.asarray(X[rows], np.float64) if origin is None else X[rows] - origin
        if not np.isfinite(chunk.sum()):  # one cheap pass; only a bad chunk is looked at value by value
            refuse_non_finite(X[rows], start)
        yield rows, chunk


def refuse_non_finite(X: np.ndarray, start: int = 0) -> None:
    """Raise DataError naming the first column and row of X (rows counted from `start`) with NaN or infinity."""
    bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        row, column = bad[0]
        raise DataError(f"vectors: column {column} is NaN or infinite in row {start + row}; clean or drop it")


def one_hot(codes: np.ndarray, k: int, weights: np.ndarray | None = None) -> Any:
    """(m, k) sparse CSR matrix with a 1 (or the row's weight) at each row's code; noise rows are empty."""
    import scipy.sparse as sp

    member = codes >= 0
    starts = np.concatenate([[0], np.cumsum(member)])
    values = np.ones(starts[-1]) if weights is None else weights[member]
    return sp.csr_matrix((values, codes[member], starts), shape=(len(codes), k))
