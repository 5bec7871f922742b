"""One-to-one recommendation by alternating least squares on implicit feedback (Hu, Koren & Volinsky 2008)."""

from typing import Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.interactions import Interactions, Items
from tasks.recommenders._fitted import Fitted


class Config(Section):
    """Parameters of ALS."""

    kind: Literal["als"] = "als"
    factors: int = Field(32, ge=1, description="latent factors of users and items")
    iterations: int = Field(15, ge=1, description="sweeps over users and items")
    regularization: float = Field(0.05, ge=0, description="L2 penalty of the factors")
    alpha: float = Field(1.0, gt=0, description="weight of an interaction against a cell without one")


class Factors(Fitted):
    """Fitted ALS: a score is the inner product of a user's and an item's factors.

    Attributes:
        users: (n, f) float32 factors.
        items: (items, f) float32 factors.
    """

    def __init__(
        self, users: np.ndarray, items: np.ndarray, interactions: Interactions, assignments: np.ndarray
    ) -> None:
        super().__init__(interactions, assignments)
        self.users, self.items = users, items

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) inner products."""
        return np.asarray(self.users[users] @ self.items.T, np.float64)


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Factors:
    """Factorise the interactions; segments play no part but in `top`.

    Args:
        interactions: Histories of n users; counts are the confidence in a preference.
        items: Not used.
        assignments: (n,) labels.
        config: Parameters.
        rng: Draws the seed of the first factors.

    Raises:
        DataError: There is not one label per user.
    """
    import threadpoolctl
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=config.factors,
        iterations=config.iterations,
        regularization=config.regularization,
        alpha=config.alpha,
        random_state=int(rng.integers(2**31)),
    )
    with threadpoolctl.threadpool_limits(1, "blas"):  # implicit runs threads of its own
        model.fit(interactions.counts.astype(np.float32), show_progress=False)
    return Factors(np.asarray(model.user_factors), np.asarray(model.item_factors), interactions, assignments)
