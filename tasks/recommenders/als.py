"""One-to-one recommendation by alternating least squares on implicit feedback (Hu, Koren & Volinsky 2008).

The ceiling that segments are compared with: every user has a ranking of their own.
"""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from tasks.recommenders._ranked import check

if TYPE_CHECKING:
    import scipy.sparse as sp

_HIDDEN = np.finfo(np.float32).min / 2  # implicit gives items that it leaves out the least float32


class Config(Section):
    """Parameters of ALS."""

    kind: Literal["als"] = "als"
    factors: int = Field(32, ge=1, description="latent factors of users and items")
    iterations: int = Field(15, ge=1, description="sweeps over users and items")
    regularization: float = Field(0.05, ge=0, description="L2 penalty of the factors")
    alpha: float = Field(1.0, gt=0, description="weight of an interaction against a cell without one")


class Factors:
    """Fitted ALS: a score is the inner product of a user's and an item's factors.

    Attributes:
        users: (n, f) float32 factors.
        items: (items, f) float32 factors.
        labels: (n,) segments, for `top`.
        interactions: (n, items) CSR; what is stored was seen.
    """

    def __init__(self, users: np.ndarray, items: np.ndarray, labels: np.ndarray, interactions: "sp.csr_matrix") -> None:
        self.users, self.items, self.labels, self.interactions = users, items, labels, interactions

    def recommend(self, users: np.ndarray, n: int, exclude_seen: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Best items of each user.

        Args:
            users: (m,) row numbers of `interactions`.
            n: Items wanted.
            exclude_seen: Leave out what the user has interacted with.

        Returns:
            (m, n) int64 column numbers, best first, −1 where nothing is left; (m, n) float64 scores, NaN there.
        """
        from implicit.cpu.topk import topk

        users, width = np.asarray(users, np.int64), min(n, len(self.items))
        chosen, scores = np.full((len(users), n), -1), np.full((len(users), n), np.nan)
        if len(users) and width:
            seen = self.interactions[users] if exclude_seen else None
            found, values = topk(self.items, self.users[users], width, filter_query_items=seen)
            left = values > _HIDDEN
            chosen[:, :width], scores[:, :width] = np.where(left, found, -1), np.where(left, values, np.nan)
        return chosen, scores

    def top(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Best items for the mean member of each segment: (k, min(n, items)) column numbers and scores.

        A segment without members gets those of the mean user, so that row and label stay the same.
        """
        k = int(self.labels.max(initial=-1)) + 1
        members = [self.labels == label for label in range(k)]
        means = [self.users[member if member.any() else slice(None)].mean(axis=0) for member in members]
        scores = np.asarray(means, np.float64).reshape(-1, self.users.shape[1]) @ self.items.T.astype(np.float64)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
        return order, np.take_along_axis(scores, order, axis=1)


def fit(
    interactions: "sp.csr_matrix", items: Any, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Factors:
    """Factorise the interactions; segments play no part but in `top`.

    Args:
        interactions: (n, items) CSR counts, the confidence in a preference.
        items: Not used.
        assignments: (n,) labels.
        config: Parameters.
        rng: Draws the seed of the first factors.

    Raises:
        DataError: There is not one label per user.
    """
    import threadpoolctl
    from implicit.cpu.als import AlternatingLeastSquares

    matrix, labels = check(interactions, assignments)
    model = AlternatingLeastSquares(
        factors=config.factors,
        iterations=config.iterations,
        regularization=config.regularization,
        alpha=config.alpha,
        random_state=int(rng.integers(2**31)),
    )
    with threadpoolctl.threadpool_limits(1, "blas"):  # implicit runs threads of its own
        model.fit(matrix.astype(np.float32), show_progress=False)
    return Factors(np.asarray(model.user_factors), np.asarray(model.item_factors), labels, matrix)
