"""What the user did most often, then what everybody does: the baseline where the same things are bought again.

It is meant for `exclude_seen=False`; with seen items left out nothing remains of it but global popularity.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.interactions import Interactions, Items
from tasks.numerics.interactions import decayed
from tasks.numerics.popularity import popularity
from tasks.recommenders._fitted import Fitted

_TIE = 1e-9  # of a count: orders equal counts by popularity, and no others


class Config(Section):
    """How much an old interaction counts."""

    kind: Literal["personal_frequency"] = "personal_frequency"
    half_life_days: float | None = Field(
        None, gt=0, description="an interaction counts half for every so many days of age; none: age does not matter"
    )


class Frequencies(Fitted):
    """A score is the user's own count; popularity, scaled below any of them, orders the rest, and equal counts.

    Attributes:
        common: (items,) popularity in [0, 1).
        half_life_days: Half-life of a count.
    """

    def __init__(
        self, common: np.ndarray, half_life_days: float | None, interactions: Interactions, assignments: np.ndarray
    ) -> None:
        super().__init__(interactions, assignments)
        self.common, self.half_life_days = common, half_life_days

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) own counts, as decayed, and popularity below them."""
        own = decayed(self.interactions.rows(users), self.half_life_days)
        row = np.repeat(np.arange(len(users)), np.diff(own.indptr))
        least = np.ones(len(users))
        np.minimum.at(least, row, own.data)
        scores = least[:, None] * self.common
        scores[row, own.indices] = own.data * (1.0 + _TIE * self.common[own.indices])
        return scores


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Frequencies:
    """Learn what is popular, for what the user never touched.

    Args:
        interactions: Histories of n users.
        items: Not used.
        assignments: (n,) labels; they play no part but in `top`.
        config: Parameters.
        rng: Not used.

    Raises:
        DataError: There is not one label per user.
    """
    common = popularity(decayed(interactions, config.half_life_days))
    return Frequencies(common / (1.0 + common.max(initial=0.0)), config.half_life_days, interactions, assignments)
