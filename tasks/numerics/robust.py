"""Middle, spread and skewness of numbers that hold a few wild ones."""

import numpy as np

MAD_TO_STD = 1.4826
"""A normal distribution's standard deviation in median absolute deviations."""


def center_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Median and spread of (n,) numbers: 1.4826 MAD, or the standard deviation where over half of them are equal.

    Spread 0 says that they differ by rounding alone, or that there are none.
    """
    if not len(values):
        return 0.0, 0.0
    center = float(np.median(values))
    spread = MAD_TO_STD * float(np.median(np.abs(values - center)))
    floor = 1e-9 * max(1.0, abs(center))  # below this only rounding differs
    if spread <= floor:
        spread = float(np.std(values))
    return center, spread if spread > floor and np.isfinite(spread) else 0.0


def is_skewed(values: np.ndarray, limit: float) -> bool:
    """Whether (n,) non-negative numbers have a skewness E[(x − μ)³] / σ³ above `limit`."""
    if not len(values) or values.min() < 0:
        return False
    deviation = values - values.mean()
    deviation /= np.abs(deviation).max() or 1.0  # cubes of large amounts would overflow
    variance = float(np.mean(deviation**2))
    return variance > 0 and float(np.mean(deviation**3)) / variance**1.5 > limit
