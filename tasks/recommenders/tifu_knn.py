"""What the user did often and of late, and what users like that did: the yardstick where the same is bought again.

After TIFU-KNN (Hu et al. 2020, "Modeling Personalized Item Frequency Information for Next-basket Recommendation"):

    score(u) = alpha · v(u) + (1 − alpha) · mean of v over the nearest users

v: a user's counts, each halved for every so many days of age, scaled to length 1, so that the nearest by Euclid are the
nearest by cosine. Theirs decays by baskets and groups of them; a history here has days instead. It is meant for
`exclude_seen=False`; with seen items left out only the other users speak.
"""

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.interactions import Interactions, Items
from tasks.numerics.interactions import decayed
from tasks.ranking.highest import highest
from tasks.recommenders._fitted import Personal, check

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Parameters of TIFU-KNN."""

    kind: Literal["tifu_knn"] = "tifu_knn"
    neighbours: int = Field(900, ge=1, description="most similar users, of those with an item in common")
    alpha: float = Field(0.3, ge=0, le=1, description="weight of the user's own counts against the neighbours'")
    half_life_days: float | None = Field(
        60.0, gt=0, description="an interaction counts half for every so many days of age; none: age does not matter"
    )


class Neighbours(Personal):
    """The users of the fit, any of whom may be a neighbour of anybody, and of themselves.

    Attributes:
        known: (n, items) float32 CSR of the fit's users, rows of length 1.
        own: (m, items) the same of the users that are served.
        config: Parameters.
    """

    def __init__(self, config: Config, interactions: Interactions, assignments: np.ndarray) -> None:
        super().__init__(interactions, assignments)
        self.config, self.known = config, vectors(interactions, config.half_life_days)
        self.own, self._columns = self.known, self.known.T.tocsr()

    def of(self, interactions: Interactions, assignments: np.ndarray) -> Self:
        """The same neighbours for other histories."""
        other = super().of(interactions, assignments)
        other.own = vectors(interactions, self.config.half_life_days)
        return other

    def own_scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) float32 blend of the users' own vectors and their neighbours' mean."""
        import scipy.sparse as sp

        own, alpha = self.own[users], np.float32(self.config.alpha)
        cosines = (own @ self._columns).toarray()
        cosines[cosines <= 0] = -np.inf  # nothing in common
        chosen = highest(cosines, self.config.neighbours)[0]
        row, place = np.nonzero(chosen >= 0)
        share = (1 / np.maximum((chosen >= 0).sum(axis=1), 1)).astype(np.float32)[row]
        mean = sp.csr_matrix((share, (row, chosen[row, place])), shape=(len(own.indptr) - 1, self.known.shape[0]))
        return np.asarray((alpha * own + (1 - alpha) * (mean @ self.known)).toarray())

    def _width(self) -> int:
        return max(self.known.shape)


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Neighbours:
    """Remember everybody: who is near is sought when it is asked for.

    Args:
        interactions: Histories of n users.
        items: Not used.
        assignments: (n,) labels; they play no part but in `top`.
        config: Parameters.
        rng: Not used.

    Raises:
        DataError: There is not one label per user.
    """
    return Neighbours(config, interactions, check(interactions, assignments))


def vectors(interactions: Interactions, half_life_days: float | None) -> "sp.csr_matrix":
    """(n, items) float32 CSR of decayed counts, rows of length 1; empty ones stay."""
    from sklearn.preprocessing import normalize

    return normalize(decayed(interactions, half_life_days)).astype(np.float32)
