"""What is popular with everybody, and within a group: the scores of the held-out protocol."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import scipy.sparse as sp


def popularity(interactions: "sp.csr_matrix") -> np.ndarray:
    """(items,) interactions per user of an (n, items) matrix."""
    return np.asarray(interactions.sum(axis=0)).ravel() / max(interactions.shape[0], 1)


def group_scores(interactions: "sp.csr_matrix", labels: np.ndarray, k: int, prior_weight: float) -> np.ndarray:
    """(k + 1, items) scores of every item for every group; the last row is for users without one.

    Score = interactions by members / members + prior_weight × interactions by all / users; in the last row the
    interactions by all / users alone.

    Args:
        interactions: (n, items) CSR counts.
        labels: (n,) groups 0..k-1; whoever is at −1 counts for everybody only.
        k: Number of groups.
        prior_weight: Weight of what is popular with everybody.
    """
    import scipy.sparse as sp

    known, common = labels >= 0, popularity(interactions)
    place = (labels[known], np.flatnonzero(known))
    member = sp.csr_matrix((np.ones(int(known.sum())), place), shape=(k, len(labels)))
    sizes = np.maximum(np.bincount(labels[known], minlength=k), 1)
    scores = (member @ interactions).toarray() / sizes[:, None] + prior_weight * common
    return np.vstack([scores, common])
