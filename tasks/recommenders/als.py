"""One-to-one recommendation by alternating least squares on implicit feedback (Hu, Koren & Volinsky 2008).

The penalty of a user's or an item's factors grows with the row's weight, regularization · (alpha · cells + width)^nu, as
Rendle et al. 2022 ("Revisiting the Performance of iALS on Item Recommendation Benchmarks") found to matter most.
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


class Config(Section):
    """Parameters of ALS."""

    kind: Literal["als"] = "als"
    factors: int = Field(64, ge=1, description="latent factors of users and items")
    iterations: int = Field(10, ge=1, description="sweeps over items and users")
    regularization: float = Field(0.01, ge=0, description="L2 penalty of the factors")
    nu: float = Field(1.0, ge=0, description="power of a row's weight that its penalty grows with; 0: all alike")
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
        """(m, items) float32 inner products."""
        own = self.users[np.resize(users, max(len(users), 2))]  # a product with one row alone is rounded otherwise
        return np.asarray((own @ self.items.T)[: len(users)])


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

    `implicit` solves exactly, but for one penalty: it is called for rows of equally many cells. Threads of its own, once
    a call, would cost more than they save.
    """
    from implicit.cpu._als import _least_squares

    own = np.diff(counts.indptr)
    order = np.argsort(own, kind="stable")
    rows = counts[order].astype(np.float32)
    rows.data *= config.alpha
    found = np.zeros((len(own), others.shape[1]), np.float32)
    squares = others.T @ others

    def solve(part: np.ndarray) -> None:
        start, end = part[0], part[-1] + 1
        penalty = config.regularization * (config.alpha * own[order[start]] + len(others)) ** config.nu
        place = (rows.indptr[start : end + 1], rows.indices, rows.data)
        _least_squares(squares, *place, found[start:end], others, float(penalty), 1)

    equal = np.flatnonzero(np.diff(own[order]) != 0) + 1
    cuts = np.union1d(equal, np.arange(_ROWS, len(own), _ROWS))
    in_threads(solve, np.split(np.arange(len(own)), cuts) if len(own) else [])
    back = np.empty_like(found)
    back[order] = found
    return back
