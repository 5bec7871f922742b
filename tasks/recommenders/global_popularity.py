"""What is popular with everybody: the baseline that segments must beat."""

from typing import Literal

import numpy as np

from schemas.config import Section
from schemas.interactions import Interactions, Items
from tasks.numerics.popularity import popularity
from tasks.recommenders._fitted import Grouped


class Config(Section):
    """Global popularity has no parameters."""

    kind: Literal["global_popularity"] = "global_popularity"


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Grouped:
    """Rank items by interactions per user; the same for every segment.

    Args:
        interactions: Histories of n users.
        items: Not used.
        assignments: (n,) labels, used only to know how many segments `top` speaks of.
        config: Parameters.
        rng: Not used.

    Raises:
        DataError: There is not one label per user.
    """
    k = int(np.max(assignments, initial=-1)) + 1
    return Grouped(np.tile(popularity(interactions.counts), (k + 1, 1)), interactions, assignments)
