"""What is popular with everybody, ever or of late: the baseline that segments must beat."""

from typing import Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.interactions import Interactions, Items
from tasks.numerics.interactions import decayed
from tasks.numerics.popularity import popularity
from tasks.recommenders._fitted import Grouped, check


class Config(Section):
    """Which interactions count, and how much."""

    kind: Literal["global_popularity"] = "global_popularity"
    days: float | None = Field(
        None, gt=0, description="only what a user last did within so many days before the moment; none: all time"
    )
    half_life_days: float | None = Field(
        None, gt=0, description="an interaction counts half for every so many days of age; none: age does not matter"
    )


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Grouped:
    """Rank items by interactions per user; the same for every segment.

    A cell has one time, its newest: with `days` all interactions of the cell count, or none.

    Args:
        interactions: Histories of n users.
        items: Not used.
        assignments: (n,) labels, used only to know how many segments `top` speaks of.
        config: Parameters.
        rng: Not used.

    Raises:
        DataError: There is not one label per user.
    """
    labels = check(interactions, assignments)
    counts = decayed(interactions, config.half_life_days)
    if config.days is not None:
        counts.data[interactions.ages() > config.days] = 0.0
    k = int(labels.max(initial=-1)) + 1
    return Grouped(np.tile(popularity(counts), (k + 1, 1)), interactions, labels)
