"""How much of each of a few segments a user is: soft membership beside the one segment that is published.

    weight ∝ 1 / d²

as in fuzzy c-means with its usual exponent of 2 (Bezdek 1981), d being the distance to the mean of a segment's members;
under cosine 1 / d, for 1 − cosine is half a squared distance between unit vectors. Kept are the user's own segment,
which comes first, and of the others the two nearest; the weights of those that are kept sum to 1.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas.tables import SEGMENT_ID, WEIGHT
from tasks.segments import _distances

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = 3


class Memberships(NamedTuple):
    """Of n users the segments that they are nearest to.

    Attributes:
        labels: (n, min(3, k)) int64 labels, the user's own first, then by weight.
        weights: (n, min(3, k)) float64 that sum to 1.
    """

    labels: np.ndarray
    weights: np.ndarray


def weigh(X: np.ndarray, own: np.ndarray, centroids: np.ndarray, space: str) -> Memberships:
    """Memberships of vectors; the same bits for one row as for a million.

    Args:
        X: (n, d) finite vectors.
        own: (n,) labels of their segments; of a row at −1 what comes back is not to be read.
        centroids: (k, d) means of the segments' members.
        space: "euclidean" or "cosine".
    """
    rows, width = np.arange(len(X)), min(KEPT, len(centroids))
    distances = np.maximum(_distances.table(X, centroids, space), 0.0)  # a cosine may round to just above 1
    labels, near = np.zeros((len(X), width), np.int64), np.zeros((len(X), width))
    for place in range(width):
        labels[:, place] = distances.argmin(axis=1) if place else np.maximum(own, 0)
        near[:, place] = distances[rows, labels[:, place]]
        distances[rows, labels[:, place]] = np.inf
    least = near.min(axis=1, keepdims=True, initial=np.inf)
    share = np.divide(least, near, out=np.ones_like(near), where=near > 0)  # 1 on a mean itself, and 0 for the others
    raw = share**2 if space == "euclidean" else share
    total = np.zeros(len(X))
    for column in raw.T:
        total += column
    return Memberships(labels, raw / total[:, None])


def column(found: Memberships, ids: tuple[str, ...], there: np.ndarray) -> "pa.Array":
    """Memberships as a column: (n,) lists of segment_id and weight, null where (n,) bool says that there are none."""
    import pyarrow as pa

    n, width = found.labels.shape
    names = pa.array(ids, pa.string()).take(pa.array(found.labels.ravel()))
    pairs = pa.StructArray.from_arrays([names, pa.array(found.weights.ravel())], [SEGMENT_ID, WEIGHT])
    return pa.LargeListArray.from_arrays(pa.array(np.arange(n + 1) * width), pairs, mask=pa.array(~there))
