"""The turn of one cloud of points that comes nearest to another (orthogonal Procrustes, Schönemann 1966)."""

import numpy as np


def procrustes(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(d, d) orthogonal turn and (d,) shift for which left·turn + shift comes nearest to right; both (n, d)."""
    centre, target = left.mean(axis=0), right.mean(axis=0)
    u, _, v = np.linalg.svd((left - centre).T @ (right - target))
    turn = u @ v
    return turn, target - centre @ turn
