"""Where a warm candidate starts: the old segments' means in the new space, and a seed wherever nobody stood before."""

import numpy as np

from schemas.config import IdentityConfig
from tasks.numerics.groups import means

SAMPLE = 20_000


def warm_centroids(X: np.ndarray, old_labels: np.ndarray, k: int) -> np.ndarray:
    """(k, d) float64 means of the champion's members in the new space; NaN rows for segments without members there.

    This is where a warm candidate starts (after dropping NaN rows), and what `match` compares centroids with.

    Args:
        X: (n, d) vectors in the new space.
        old_labels: (n,) the champion's labels of the same users, −1 for users it did not know.
        k: Number of the champion's segments.
    """
    return means(X, old_labels, k, empty=np.nan)


def grow(
    X: np.ndarray, centroids: np.ndarray, config: IdentityConfig, rng: np.random.Generator, most: int = 3
) -> np.ndarray:
    """Centroids to start from, with a new one wherever users stand whom no old segment explains.

    Greedily adds the user whose taking as a centroid, after one Lloyd step, saves most of the sum of squared distances,
    while it saves at least `birth_gain` of it. Without this a warm start could never bear a segment.

    Args:
        X: (n, d) vectors; of more than SAMPLE a random sample decides, for the refit that follows sees them all.
        centroids: (k, d) the old segments' means; NaN rows are dropped. Where none is left, none is returned.
        config: `birth_gain`.
        rng: Draws the users that are tried, with probability proportional to squared distance (k-means++).
        most: New centroids at most.
    """
    if len(X) > SAMPLE:
        X = X[rng.choice(len(X), SAMPLE, replace=False)]
    C = np.asarray(centroids, np.float64)
    C = C[np.isfinite(C).all(axis=1)]
    for _ in range(most if len(C) else 0):
        squares = _squares(X, C)
        total = float(squares.sum())
        if total <= 0:
            return C
        tried = rng.choice(len(X), size=min(16, len(X)), p=squares / total)
        seeds = [_settled(X, X[at], squares) for at in np.unique(tried)]
        saved = [float(np.maximum(squares - _squares(X, seed[None]), 0.0).sum()) / total for seed in seeds]
        best = int(np.argmax(saved))
        if saved[best] < config.birth_gain:
            return C
        C = np.vstack([C, seeds[best]])
    return C


def _squares(X: np.ndarray, C: np.ndarray) -> np.ndarray:
    """(n,) squared Euclidean distance to the nearest of C."""
    X = np.asarray(X, np.float64)
    expanded = (X * X).sum(axis=1)[:, None] - 2.0 * X @ C.T + (C * C).sum(axis=1)[None, :]
    return np.maximum(expanded.min(axis=1), 0.0)


def _settled(X: np.ndarray, seed: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """The mean of the users who are nearer to the seed than to any centroid, after one step."""
    drawn = _squares(X, np.asarray(seed, np.float64)[None]) < squares
    return np.asarray(X, np.float64)[drawn].mean(axis=0) if drawn.any() else np.asarray(seed, np.float64)
