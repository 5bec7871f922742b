"""A fitted recommender whose scores are linear in the history: a user's row times weights between items."""

from typing import TYPE_CHECKING

import numpy as np

from schemas.interactions import Interactions
from tasks.numerics.interactions import recency, weighted
from tasks.recommenders._fitted import Fitted

if TYPE_CHECKING:
    import scipy.sparse as sp


class Linear(Fitted):
    """Scores of any user's history, so that users who came after the fit are served exactly like the others.

    Attributes:
        weights: (items, items) float32, an array or CSR: what an item in the history says for each item.
        half_life: Share of a user's own history after which an interaction counts half; see `recency`.
    """

    def __init__(
        self,
        weights: "np.ndarray | sp.csr_matrix",
        half_life: float | None,
        interactions: Interactions,
        assignments: np.ndarray,
    ) -> None:
        super().__init__(interactions, assignments)
        self.weights, self.half_life = weights, half_life

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) float32 products of histories and weights; without a history all are 0."""
        rows = self.interactions.rows(users)
        history = weighted(rows, recency(rows, self.half_life)).astype(np.float32)
        found = history @ self.weights
        return found if isinstance(found, np.ndarray) else np.asarray(found.toarray())
