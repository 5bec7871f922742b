"""What is popular with everybody: the baseline that segments must beat."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from schemas.config import Section
from tasks.numerics.popularity import popularity
from tasks.recommenders._ranked import Ranked, check

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Global popularity has no parameters."""

    kind: Literal["global_popularity"] = "global_popularity"


def fit(
    interactions: "sp.csr_matrix", items: Any, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Ranked:
    """Rank items by interactions per user; the same for every segment.

    Args:
        interactions: (n, items) CSR counts.
        items: Not used.
        assignments: (n,) labels, used only to know how many segments `top` speaks of.
        config: Parameters.
        rng: Not used.

    Raises:
        DataError: There is not one label per user.
    """
    matrix, labels = check(interactions, assignments)
    k = int(labels.max(initial=-1)) + 1
    scores = np.tile(popularity(matrix), (k + 1, 1))
    return Ranked(scores, np.where(labels < 0, k, labels), matrix)
