"""One-to-one recommendation by similar users: the mean of what they did, by similarity (Herlocker et al. 1999)."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.interactions import Interactions, Items
from tasks.numerics.interactions import binary
from tasks.ranking.highest import highest
from tasks.recommenders._fitted import Personal, check

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Parameters of user-kNN."""

    kind: Literal["user_knn"] = "user_knn"
    neighbours: int = Field(40, ge=1, description="most similar users whose histories are averaged")
    within: Literal["all", "segment"] = Field(
        "all", description="neighbours among all users, or in the user's segment; without one they are among all"
    )


class Neighbours(Personal):
    """The users of the fit, any of whom may be a neighbour of anybody, and of themselves.

    Attributes:
        known: (n, items) float32 CSR, 1 where a user of the fit has the item.
        members: (n,) their segments; None: neighbours are sought among all.
        neighbours: How many.
    """

    def __init__(self, config: Config, interactions: Interactions, assignments: np.ndarray) -> None:
        super().__init__(interactions, assignments)
        self.known, self.neighbours = binary(interactions), config.neighbours
        self.members = self.labels if config.within == "segment" else None
        self._directions = _normalised(self.known).T.tocsr()

    def own_scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) float32 similarity-weighted means; without a history, or a neighbour, all are 0."""
        import scipy.sparse as sp

        own = _normalised(binary(self.interactions.rows(users)))
        cosines = (own @ self._directions).toarray()
        if self.members is not None:
            labels = self.labels[users][:, None]
            cosines[(labels >= 0) & (labels != self.members)] = 0.0
        chosen, weights = highest(cosines, self.neighbours)
        weights = np.where(chosen >= 0, weights, 0.0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        row, place = np.nonzero(weights)
        shape = (len(users), self.known.shape[0])
        mean = sp.csr_matrix((weights[row, place].astype(np.float32), (row, chosen[row, place])), shape=shape)
        return np.asarray((mean @ self.known).toarray())

    def _width(self) -> int:
        return max(self.known.shape)


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Neighbours:
    """Remember everybody: similarity is the cosine of two histories, sought when it is asked for.

    Args:
        interactions: Histories of n users; how often plays no part.
        items: Not used.
        assignments: (n,) labels; users at −1 have neighbours everywhere.
        config: Parameters.
        rng: Not used.

    Raises:
        DataError: There is not one label per user.
    """
    return Neighbours(config, interactions, check(interactions, assignments))


def _normalised(matrix: "sp.csr_matrix") -> "sp.csr_matrix":
    """Binary rows of length 1; empty ones stay."""
    own = np.diff(matrix.indptr)
    scaled = matrix.copy()
    scaled.data = np.repeat(1.0 / np.sqrt(np.maximum(own, 1)), own).astype(np.float32)
    return scaled
