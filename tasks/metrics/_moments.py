"""Centroids and distances to them: what the centroid-based metrics share."""

from dataclasses import dataclass

import numpy as np

from tasks.metrics._labels import Codes, chunks, one_hot


@dataclass(frozen=True)
class Moments:
    """Centroids of k segments and how far their members are.

    Attributes:
        centroids: (k, d) float64, means of the members.
        squared: (n,) float64, squared Euclidean distance to the own centroid; NaN for noise.
    """

    centroids: np.ndarray
    squared: np.ndarray


def moments(X: np.ndarray, codes: Codes) -> Moments:
    """Centroids and squared distances to them, as float64 differences, in two passes of O(n·d).

    Raises:
        DataError: X holds NaN or infinity.
    """
    sums = np.zeros((codes.k, X.shape[1]))
    for rows, chunk in chunks(X, codes.k):
        sums += one_hot(codes.codes[rows], codes.k).T @ chunk
    centroids = sums / codes.counts[:, None]
    squared = np.full(len(X), np.nan)
    for rows, chunk in chunks(X):
        own = codes.codes[rows]
        if codes.k:
            difference = chunk - centroids[own]
            squared[rows] = np.where(own < 0, np.nan, np.einsum("ij,ij->i", difference, difference))
    return Moments(centroids, squared)
