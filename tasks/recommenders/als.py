"""One-to-one recommendation by alternating least squares on implicit feedback (Hu, Koren & Volinsky 2008).

The penalty of a user's or an item's factors grows with its cells, regularization · (1 + cells)^nu, as Rendle et al.
2022 ("Revisiting the Performance of iALS on Item Recommendation Benchmarks") found to matter. Their term for the cells
without an interaction is left out: it grows with the catalogue, so that one value would not do for two.
"""

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.interactions import Interactions, Items
from tasks.recommenders._fitted import Fitted, check, in_threads

if TYPE_CHECKING:
    import scipy.sparse as sp

_ROWS = 1024  # solved for at a time
_SHARES = 8  # of the rows, one for a thread


class Config(Section):
    """Parameters of ALS."""

    kind: Literal["als"] = "als"
    factors: int = Field(64, ge=1, description="latent factors of users and items")
    iterations: int = Field(10, ge=1, description="sweeps over items and users")
    regularization: float = Field(0.2, ge=0, description="L2 penalty of the factors")
    nu: float = Field(1.0, ge=0, description="power of the number of cells that a penalty grows with; 0: all alike")
    alpha: float = Field(3.0, gt=0, description="weight of an interaction against a cell without one")


class Factors(Fitted):
    """Fitted ALS: a score is the inner product of a user's and an item's factors.

    Attributes:
        items: (items, f) float32 factors.
        config: Parameters, by which the factors of other users are solved for.
        users: (n, f) float32 factors.
    """

    def __init__(self, items: np.ndarray, config: Config, interactions: Interactions, assignments: np.ndarray) -> None:
        super().__init__(interactions, assignments)
        self.items, self.config = items, config
        self.users = _solved(interactions.counts, items, config)

    def of(self, interactions: Interactions, assignments: np.ndarray) -> Self:
        """The same items for other histories, whose users' factors are solved for as in the fit's last step."""
        other = super().of(interactions, assignments)
        other.users = _solved(interactions.counts, self.items, self.config)
        return other

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) float32 inner products, rounded from float64: how many rows are asked for changes no bit."""
        return np.asarray(self.users[users].astype(np.float64) @ self.items.T.astype(np.float64), np.float32)


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Factors:
    """Factorise the interactions; segments play no part but in `top`.

    Args:
        interactions: Histories of n users; counts are the confidence in a preference.
        items: Not used.
        assignments: (n,) labels.
        config: Parameters.
        rng: Draws the first factors of the items.

    Raises:
        DataError: There is not one label per user.
    """
    labels, counts = check(interactions, assignments), interactions.counts
    transposed = counts.T.tocsr()
    found = rng.normal(0.0, 1.0 / config.factors, (counts.shape[1], config.factors)).astype(np.float32)
    for _ in range(config.iterations):
        found = _solved(transposed, _solved(counts, found, config), config)
    return Factors(found, config, interactions, labels)


def _solved(counts: "sp.csr_matrix", others: np.ndarray, config: Config) -> np.ndarray:
    """(rows, f) float32 factors that are best for (rows, others) CSR counts, given the others' (others, f) factors.

    `implicit` solves exactly, but for one penalty: it is called for rows of equally many cells. Threads of its own,
    once a call, would cost more than they save.
    """
    import threadpoolctl
    from implicit.cpu._als import _least_squares

    own = np.diff(counts.indptr)
    order = np.argsort(own, kind="stable")
    rows = counts[order].astype(np.float32)
    rows.data *= config.alpha
    found = np.zeros((len(own), others.shape[1]), np.float32)
    with threadpoolctl.threadpool_limits(1, "blas"):  # so small a product is not worth two
        squares = others.T @ others

    def solve(parts: list[tuple[int, int]]) -> None:
        for start, end in parts:
            penalty = config.regularization * (1 + own[order[start]]) ** config.nu
            place = (rows.indptr[start : end + 1], rows.indices, rows.data)
            _least_squares(squares, *place, found[start:end], others, float(penalty), 1)

    cuts = np.union1d(np.flatnonzero(np.diff(own[order], prepend=-1)), np.arange(0, len(own), _ROWS)).tolist()
    parts = list(zip(cuts, [*cuts[1:], len(own)], strict=True))
    in_threads(solve, [some for some in (parts[at::_SHARES] for at in range(_SHARES)) if some])
    back = np.empty_like(found)
    back[order] = found
    return back
