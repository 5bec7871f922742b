"""What is popular within a user's segment, smoothed by global popularity: the held-out protocol's recommender."""

from typing import Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.interactions import Interactions, Items
from tasks.numerics.popularity import group_scores
from tasks.recommenders._fitted import Grouped, check


class Config(Section):
    """Parameters of segment popularity."""

    kind: Literal["segment_popularity"] = "segment_popularity"
    prior_weight: float = Field(0.3, ge=0, description="weight of global popularity (interactions per user) in a score")


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Grouped:
    """Score of an item = interactions by members / members + prior_weight × interactions by all / users.

    Args:
        interactions: Histories of n users.
        items: Not used.
        assignments: (n,) labels 0..k-1; users at −1 get global popularity.
        config: Parameters.
        rng: Not used.

    Raises:
        DataError: There is not one label per user.
    """
    labels = check(interactions, assignments)
    k = int(labels.max(initial=-1)) + 1
    return Grouped(group_scores(interactions.counts, labels, k, config.prior_weight), interactions, labels)
