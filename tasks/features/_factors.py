"""Factorisations of a sparse user-item matrix, and the fold-in of rows that were not there."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

SMALL = 500  # rows or columns up to which the dense decomposition is taken: it is exact and no slower


def unit_rows(matrix: "sparse.csr_matrix") -> "sparse.csr_matrix":
    """The matrix with rows of length 1; empty rows stay. Each row's squares are added in column order."""
    from scipy import sparse

    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    squares = np.bincount(rows, matrix.data * matrix.data, matrix.shape[0])
    return sparse.csr_matrix((matrix.data / np.sqrt(squares)[rows], matrix.indices, matrix.indptr), matrix.shape)


def truncated_svd(matrix: "sparse.csr_matrix", dimensions: int, seed: int) -> np.ndarray:
    """(columns, k) float64 right singular vectors, the largest first; k is `dimensions` or the rank, if lower.

    Each vector's entry of largest size is positive. ARPACK starts from `seed`.
    """
    from scipy.sparse.linalg import svds

    smaller = min(matrix.shape)
    if smaller <= max(SMALL, dimensions + 1):
        _, values, rows = np.linalg.svd(matrix.toarray(), full_matrices=False)
    else:
        start = np.random.default_rng(seed).standard_normal(smaller)
        _, values, rows = svds(matrix, k=dimensions, v0=start, solver="arpack")
        values, rows = values[::-1], rows[::-1]
    rank = max(1, int((values > values[0] * 1e-9).sum()))
    vectors = rows[: min(dimensions, rank)].T
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    return np.ascontiguousarray(vectors * signs)


def als(
    matrix: "sparse.csr_matrix", dimensions: int, alpha: float, regularization: float, iterations: int, seed: int
) -> np.ndarray:
    """(columns, k) float64 item factors of implicit's ALS on confidences 1 + alpha · entry."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    confidence = matrix.copy()
    confidence.data = 1.0 + alpha * confidence.data
    model = AlternatingLeastSquares(
        factors=dimensions,
        regularization=regularization,
        iterations=iterations,
        random_state=seed,
        num_threads=1,
        dtype=np.float64,
        use_cg=False,
    )
    with threadpool_limits(1, "blas"):
        model.fit(confidence, show_progress=False)
    return np.asarray(model.item_factors, np.float64)


def fold_in_als(
    matrix: "sparse.csr_matrix", factors: np.ndarray, gram: np.ndarray, alpha: float, regularization: float
) -> np.ndarray:
    """(rows, k) float64 least-squares factors of each row by itself.

    Args:
        matrix: Rows to fold in, columns as in `factors`.
        factors: (columns, k) item factors Y.
        gram: (k, k) YᵀY.
        alpha: As in the fit.
        regularization: λ, as in the fit.
    """
    k = factors.shape[1]
    out = np.zeros((matrix.shape[0], k))
    base = gram + regularization * np.eye(k)
    for row, (start, end) in enumerate(zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)):
        mine = factors[matrix.indices[start:end]]
        extra = alpha * matrix.data[start:end]
        out[row] = np.linalg.solve(base + (mine * extra[:, None]).T @ mine, (1.0 + extra) @ mine)
    return out
