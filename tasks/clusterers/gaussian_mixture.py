"""Gaussian mixture: soft segments, each an ellipsoid along the columns (scikit-learn's EM).

Full covariances are not offered: their products would give one row other last digits than a thousand.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.errors import DataError
from schemas.evaluation import Assignment
from tasks.clusterers._common import check_k, check_rows, fewer_warnings, in_memory, outlier_warnings
from tasks.clusterers._distances import Space, distances_to, points
from tasks.clusterers._exemplars import two_best
from tasks.numerics.groups import canonical

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Parameters of a Gaussian mixture."""

    kind: Literal["gaussian_mixture"] = "gaussian_mixture"
    space: Space = Field("euclidean", description="euclidean, or cosine: rows of length 1")
    k: int = Field(20, ge=1, description="segments")
    covariance: Literal["diag", "spherical"] = Field("diag", description="a variance per column, or one per segment")
    n_init: int = Field(1, ge=1, description="starts, the likeliest is kept")
    max_iter: int = Field(200, ge=1, description="EM iterations at most")
    floor: float = Field(1e-6, gt=0, description="added to each variance, in mean variances of a column")


@dataclass
class Mixture:
    """A fitted mixture.

    Attributes:
        means: (k, d) float64.
        variances: (k, d) float64.
        weights: (k,) float64 shares.
        space: the space of distances.
        labels: (n,) int32 of the rows it was fitted on; empty after loading.
        extras: figures of the fit.
    """

    means: np.ndarray
    variances: np.ndarray
    weights: np.ndarray
    space: Space
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    extras: dict[str, Any] = field(default_factory=dict)

    def log_likelihoods(self, X: np.ndarray) -> np.ndarray:
        """Log of weight × density (n, k) float64, each row on its own."""
        rows = points(X, self.space)
        logs = np.empty((len(rows), len(self.means)))
        for j, (mean, variance) in enumerate(zip(self.means, self.variances, strict=True)):
            squares = np.square(rows - mean)
            squares /= variance
            constant = np.log(2 * np.pi * variance).sum() - 2 * np.log(self.weights[j])
            logs[:, j] = -0.5 * (squares.sum(axis=1) + constant)
        return logs

    def responsibilities(self, X: np.ndarray) -> np.ndarray:
        """Probability (n, k) float64 of each segment for each row of X (n, d); rows sum to 1."""
        logs = self.log_likelihoods(check_rows(X, self.means.shape[1]))
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def assign(self, X: np.ndarray) -> Assignment:
        """The likeliest segment of each row of X (n, d) and the next; distance is to the segment's mean."""
        X = check_rows(X, self.means.shape[1])
        labels, _, second = two_best(-self.log_likelihoods(X))
        return Assignment(labels, distances_to(X, self.means, labels, self.space), second)

    def arrays(self) -> dict[str, np.ndarray]:
        """Means, variances and weights."""
        return {"means": self.means, "variances": self.variances, "weights": self.weights}


def fit(
    X: Any,
    config: Config,
    rng: np.random.Generator,
    *,
    init: np.ndarray | None = None,
    y: np.ndarray | None = None,
    graph: "sp.spmatrix | None" = None,
) -> Mixture:
    """Fit on X (n, d) float32 (a Dask array is brought into memory).

    Args:
        X: rows.
        config: parameters.
        rng: seeds EM.
        init: (k, d) means to start from.
        y: not used.
        graph: not used.

    Returns:
        Mixture with extras `responsibilities` (n, k) float32, `confidence` (n,) of the chosen, `bic`, `warnings`.

    Raises:
        DataError: fewer rows than k, values that are not finite, or means of another shape.
    """
    X = check_rows(in_memory(X))
    check_k(len(X), config.k)
    if init is not None and np.shape(init) != (config.k, X.shape[1]):
        raise DataError(f"starting means of shape {np.shape(init)} do not fit k={config.k} and {X.shape[1]} columns")
    if init is not None and not np.isfinite(init).all():
        raise DataError("a starting mean is not finite: leave out segments without members")
    model = _em(points(X, config.space), config, rng, init)
    variances = np.broadcast_to(model.covariances_.reshape(config.k, -1), model.means_.shape)
    fitted = Mixture(model.means_, np.ascontiguousarray(variances), np.maximum(model.weights_, 1e-300), config.space)
    fitted.labels, order = canonical(fitted.assign(X).labels)
    warnings = outlier_warnings(X, fitted.labels) + fewer_warnings(config.k, len(order))
    order = np.append(order, np.setdiff1d(np.arange(config.k), order))  # an empty component stays, as the last
    fitted.means, fitted.variances = fitted.means[order], fitted.variances[order]
    fitted.weights = fitted.weights[order]
    shares = fitted.responsibilities(X).astype(np.float32)
    fitted.extras = {"responsibilities": shares, "confidence": shares.max(axis=1)}
    fitted.extras |= {"bic": float(model.bic(points(X, config.space))), "warnings": warnings}
    return fitted


def _floor(rows: np.ndarray, config: Config) -> float:
    """What is added to each variance: more than the rounding of EM's sums, and more than 0 where all rows are alike."""
    rounding = 1e-14 * float(np.square(rows).mean())
    return max(config.floor * float(rows.var(axis=0).mean()), rounding) or config.floor


def _em(rows: np.ndarray, config: Config, rng: np.random.Generator, init: np.ndarray | None) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(
        config.k,
        covariance_type=config.covariance,
        n_init=config.n_init,
        max_iter=config.max_iter,
        reg_covar=_floor(rows, config),
        means_init=None if init is None else points(init, config.space),
        random_state=int(rng.integers(2**31)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows if len(rows) > 1 else np.repeat(rows, 2, axis=0))  # EM refuses a single row


def from_arrays(arrays: dict[str, np.ndarray], config: Config) -> Mixture:
    """The fitted clusterer again, from `Mixture.arrays()`."""
    return Mixture(arrays["means"], arrays["variances"], arrays["weights"], config.space)
