"""Closed-form silhouette over a Dask array: two passes over its row blocks, memory for one block a worker."""

from functools import reduce
from typing import Any

import numpy as np

from schemas.errors import DataError
from tasks.metrics._labels import Codes
from tasks.metrics._sums import CLOSED_FORM, merge, origin_of, partial_sums, silhouette_from_sums


def dask_samples(X: Any, codes: Codes, metric: str) -> np.ndarray:
    """Silhouettes of all rows of a Dask array.

    Args:
        X: (n, d) Dask array; chunks of rows with known sizes.
        codes: Labels of the n rows, in memory.
        metric: "cosine" or "sqeuclidean".

    Returns:
        (n,) float64, NaN for noise.

    Raises:
        DataError: The metric has no closed form.
    """
    import dask

    if metric not in CLOSED_FORM:
        raise DataError(f"silhouette of a Dask array: metric {metric!r} needs all pairs; use {CLOSED_FORM}")
    X = X.rechunk({1: -1})
    blocks = X.to_delayed().ravel()
    labels = np.split(codes.codes.astype(np.int32), np.cumsum(X.chunks[0])[:-1])
    origin = origin_of(X) if metric == "sqeuclidean" else None
    sums = [
        dask.delayed(partial_sums)(block, part, codes.k, metric, origin)
        for block, part in zip(blocks, labels, strict=True)
    ]
    total = reduce(merge, dask.compute(*sums))  # computed before the second pass, so that no block waits in memory
    scored = [
        dask.delayed(silhouette_from_sums)(block, part, total, metric)
        for block, part in zip(blocks, labels, strict=True)
    ]
    return np.concatenate(dask.compute(*scored))
