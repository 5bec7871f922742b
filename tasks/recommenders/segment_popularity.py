"""What is popular within a user's segment, smoothed by global popularity: the held-out protocol's recommender."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from tasks.numerics.popularity import group_scores
from tasks.recommenders._ranked import Ranked, check

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Parameters of segment popularity."""

    kind: Literal["segment_popularity"] = "segment_popularity"
    prior_weight: float = Field(0.3, ge=0, description="weight of global popularity (interactions per user) in a score")


def fit(
    interactions: "sp.csr_matrix", items: Any, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Ranked:
    """Score of an item = interactions by members / members + prior_weight × interactions by all / users.

    Args:
        interactions: (n, items) CSR counts.
        items: Not used.
        assignments: (n,) labels 0..k-1; users at −1 get global popularity.
        config: Parameters.
        rng: Not used.

    Raises:
        DataError: There is not one label per user.
    """
    matrix, labels = check(interactions, assignments)
    k = int(labels.max(initial=-1)) + 1
    scores = group_scores(matrix, labels, k, config.prior_weight)
    return Ranked(scores, np.where(labels < 0, k, labels), matrix)
