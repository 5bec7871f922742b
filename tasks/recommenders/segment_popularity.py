"""What is popular within a user's segment, smoothed by global popularity: the held-out protocol's recommender."""

from typing import Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.interactions import Interactions, Items
from tasks.numerics.interactions import decayed
from tasks.numerics.popularity import group_scores
from tasks.recommenders._fitted import Grouped, check


class Config(Section):
    """Parameters of segment popularity; the defaults are the held-out protocol's."""

    kind: Literal["segment_popularity"] = "segment_popularity"
    prior_weight: float = Field(0.3, ge=0, description="weight of global popularity (interactions per user) in a score")
    strength: float | None = Field(
        None,
        ge=0,
        description="members that global popularity counts as, so that it weighs less in a large segment; "
        "if given, in place of prior_weight",
    )
    half_life_days: float | None = Field(
        None, gt=0, description="an interaction counts half for every so many days of age; none: age does not matter"
    )


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Grouped:
    """Score of an item = interactions by members / members + prior_weight × interactions by all / users.

    With `strength` it is (interactions by members + strength × interactions by all / users) / (members + strength): a
    mean that leans on everybody's by so many members.

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
    counts = decayed(interactions, config.half_life_days)
    if config.strength is None:
        return Grouped(group_scores(counts, labels, k, config.prior_weight), interactions, labels)
    plain = group_scores(counts, labels, k, 0.0)
    sizes = np.bincount(labels[labels >= 0], minlength=k)[:, None]
    share = sizes / np.maximum(sizes + config.strength, 1e-12)
    smoothed = share * plain[:-1] + (1 - share) * plain[-1]
    return Grouped(np.vstack([smoothed, plain[-1:]]), interactions, labels)
