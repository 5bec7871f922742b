"""Filling a gap from another column of the same user: users have no order, so values do the ordering."""

import numpy as np

KNOTS = 9
MIN_PAIRS = 30  # users who have both values; fewer say too little about how one goes with the other


def fit_guide(sample: np.ndarray, j: int) -> tuple[int, np.ndarray, np.ndarray]:
    """The column of a block that tells most about column j, and the line that reads j off it.

    The guide is the column with the largest |Spearman correlation| over users who have both values. Its users are cut
    at quantiles into as many parts of equal size as there are knots; a knot is the median of the guide in a part, its
    level the median of column j there. Beyond the outer knots the line is flat.

    Args:
        sample: (n, d) float64 of the block, NaN where missing.
        j: The column with gaps.

    Returns:
        How many places further on the guide stands (0: there is none), (KNOTS,) ascending knots and (KNOTS,) levels.
    """
    best, guide = 0.0, j
    for other in range(sample.shape[1]):
        strength = 0.0 if other == j else _spearman(sample[:, j], sample[:, other])
        if strength > best + 1e-12:
            best, guide = strength, other
    if guide == j:
        return 0, np.zeros(KNOTS), np.zeros(KNOTS)
    both = np.isfinite(sample[:, j]) & np.isfinite(sample[:, guide])
    x, y = sample[both, guide], sample[both, j]
    parts = np.array_split(np.lexsort((y, x)), KNOTS)
    knots = np.array([np.median(x[part]) for part in parts])
    levels = np.array([np.median(y[np.isin(x, x[part])]) for part in parts])
    return guide - j, knots, levels


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats import rankdata

    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < MIN_PAIRS:
        return 0.0
    ranks = np.stack([rankdata(a[both]), rankdata(b[both])])
    if (ranks.std(axis=1) == 0).any():
        return 0.0
    return float(abs(np.corrcoef(ranks)[0, 1]))
