"""How good ranked lists are for each user: the measures of trec_eval, cut at the length of the lists.

With rel(r) = 1 where the item at rank r = 1..n was taken, and R items to be found (Järvelin and Kekäläinen 2002 for
ndcg; the names of trec_eval in brackets):

    precision (P_n)         Σ rel(r) / n
    recall    (recall_n)    Σ rel(r) / R
    ndcg      (ndcg_cut_n)  Σ rel(r) / log2(r + 1), over what the first min(R, n) ranks can give
    map       (map_cut_n)   Σ rel(r) · (hits up to r / r) / R
    mrr       (recip_rank)  1 / rank of the first hit, 0 without one
    hit       (success_n)   1 where there is a hit
"""

from typing import TYPE_CHECKING

import numpy as np

from tasks.numerics.hits import marked

if TYPE_CHECKING:
    import scipy.sparse as sp

MEASURES = ("precision", "recall", "ndcg", "map", "mrr", "hit")


def accuracy(chosen: np.ndarray, test: "sp.csr_matrix") -> dict[str, np.ndarray]:
    """Every measure of every user, in the order of `MEASURES`.

    Whoever has nothing to be found has no recall, ndcg or map, so these are NaN there, and a mean over users says over
    how many; the others are 0, because the list was shown and nothing came of it.

    Args:
        chosen: (m, n) item columns, best first and distinct, −1 where nothing was left to recommend; n > 0.
        test: (m, items) CSR as `tasks.numerics.hits.clean` leaves it: stored where an item is to be found.

    Returns:
        Name -> (m,) float64.
    """
    found, n = marked(chosen, test), chosen.shape[1]
    own = np.diff(test.indptr).astype(np.float64)
    own[own == 0] = np.nan
    ranks = np.arange(1, n + 1)
    gains = 1 / np.log2(ranks + 1)
    ideal = np.cumsum(gains)[np.clip(np.nan_to_num(own, nan=1.0), 1, n).astype(np.int64) - 1]
    hits, reciprocal = found.sum(axis=1).astype(np.float64), found / ranks
    return {
        "precision": hits / n,
        "recall": hits / own,
        "ndcg": np.where(np.isnan(own), np.nan, found @ gains / ideal),
        "map": (np.cumsum(found, axis=1) * reciprocal).sum(axis=1) / own,
        "mrr": reciprocal.max(axis=1),
        "hit": (hits > 0).astype(np.float64),
    }
