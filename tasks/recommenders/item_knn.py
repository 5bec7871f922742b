"""One-to-one recommendation by similar items: who liked what the user touched also liked (Sarwar et al. 2001)."""

from typing import Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.interactions import Interactions, Items
from tasks.numerics.interactions import binary
from tasks.recommenders._fitted import check
from tasks.recommenders._linear import Linear


class Config(Section):
    """Parameters of item-kNN."""

    kind: Literal["item_knn"] = "item_knn"
    neighbours: int = Field(20, ge=1, description="most similar items of each item, the ones that may speak for it")
    counts: bool = Field(False, description="compare items by how often users interacted, not by whether")
    half_life: float | None = Field(
        None, gt=0, description="share of a user's own history after which an interaction counts half; none: all alike"
    )


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Linear:
    """Cosines between items over their users; a score is the sum of those with the items of the history.

    Args:
        interactions: Histories of n users.
        items: Not used.
        assignments: (n,) labels; they play no part but in `top`.
        config: Parameters.
        rng: Not used.

    Raises:
        DataError: There is not one label per user.
    """
    from implicit.nearest_neighbours import all_pairs_knn

    labels = check(interactions, assignments)
    columns = (interactions.counts if config.counts else binary(interactions)).astype(np.float64).tocsc()
    norms = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=0)).ravel())
    columns.data /= np.repeat(norms, np.diff(columns.indptr))
    with_itself = min(config.neighbours + 1, columns.shape[1])
    similar = all_pairs_knn(columns.tocsr(), with_itself, show_progress=False).tocsr().astype(np.float32)
    similar.setdiag(0.0)
    similar.eliminate_zeros()
    return Linear(similar.T.tocsr(), config.half_life, interactions, labels)
