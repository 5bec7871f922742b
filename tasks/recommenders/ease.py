"""One-to-one recommendation by a linear model of items on items, in closed form (EASE; Steck 2019).

B minimises |X − XB|² + l2·|B|² over all B with a diagonal of zeros, where X is 1 for each cell of a history: with
P = (XᵀX + l2·I)⁻¹, B_ij = −P_ij / P_jj. A user's scores are the user's history, weighted by recency, times B; weighting
what B is learned from too was worse.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.errors import DataError
from schemas.interactions import Interactions, Items
from tasks.numerics.interactions import binary
from tasks.recommenders._fitted import check
from tasks.recommenders._linear import Linear

if TYPE_CHECKING:
    import scipy.sparse as sp

_BLOCK = 512  # columns of the Gram matrix at a time


class Config(Section):
    """Parameters of EASE."""

    kind: Literal["ease"] = "ease"
    l2: float = Field(500.0, gt=0, description="L2 penalty of the weights between items")
    half_life: float | None = Field(
        0.1, gt=0, description="share of a user's own history after which an interaction counts half; none: all alike"
    )
    max_gib: float = Field(1.0, gt=0, description="GiB that the items × items Gram matrix may take; more is refused")


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Linear:
    """Solve for the weights between items; segments play no part but in `top`.

    Args:
        interactions: Histories of n users; how often plays no part.
        items: Not used.
        assignments: (n,) labels.
        config: Parameters.
        rng: Not used.

    Raises:
        DataError: There is not one label per user, or the Gram matrix is larger than allowed.
    """
    labels, size = check(interactions, assignments), interactions.shape[1]
    gib = 8 * size**2 / 2**30
    if gib > config.max_gib:
        raise DataError(
            f"ease: {size:,} items need a Gram matrix of {gib:,.1f} GiB, more than max_gib {config.max_gib:g}: "
            "raise it, leave out rare items, or use item_knn"
        )
    gram = _gram(binary(interactions).astype(np.float64), config.l2)
    return Linear(_weights(gram), config.half_life, interactions, labels)


def _gram(history: "sp.csr_matrix", l2: float) -> np.ndarray:
    """(items, items) XᵀX + l2·I in Fortran's order, a block of columns at a time."""
    items = history.shape[1]
    gram = np.empty((items, items), order="F")
    transposed, columns = history.T.tocsr(), history.tocsc()
    for start in range(0, items, _BLOCK):
        gram[:, start : start + _BLOCK] = (transposed @ columns[:, start : start + _BLOCK]).toarray()
    gram[np.diag_indices(items)] += l2
    return gram


def _weights(gram: np.ndarray) -> np.ndarray:
    """(items, items) float32 weights; the Gram matrix is inverted where it stands, by Cholesky's factors."""
    from scipy.linalg.lapack import dpotrf, dpotri

    factor, failed = dpotrf(gram, lower=1, overwrite_a=1)
    inverse, singular = dpotri(factor, lower=1, overwrite_c=1)
    if failed or singular:
        raise DataError("ease: the Gram matrix cannot be inverted: raise l2")
    weights = np.empty(gram.shape, np.float32)
    scale = -np.diag(inverse)
    for start in range(0, len(gram), _BLOCK):
        rows = slice(start, start + _BLOCK)
        square = np.tril(inverse[rows, rows])
        weights[rows, :start] = inverse[rows, :start] / scale[:start]
        weights[:start, rows] = inverse[rows, :start].T / scale[rows]
        weights[rows, rows] = (square + np.tril(square, -1).T) / scale[rows]
    np.fill_diagonal(weights, 0.0)
    return weights
