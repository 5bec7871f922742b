"""HDBSCAN: dense regions of different densities, the rest is noise (scikit-learn's).

Paper: Campello, Moulavi and Sander 2013. Cosine is Euclid on rows of length 1, which orders neighbours alike.
"""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from tasks.clusterers import _exemplars
from tasks.clusterers._common import in_memory, outlier_warnings
from tasks.clusterers._distances import Space, from_squares
from tasks.clusterers._exemplars import Exemplars
from tasks.clusterers._lloyd import sample_rows
from tasks.clusterers._neighbours import embed
from tasks.numerics.groups import canonical

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Parameters of HDBSCAN."""

    kind: Literal["hdbscan"] = "hdbscan"
    space: Space = Field("euclidean", description="distance: euclidean, or cosine (1 − cosine)")
    min_cluster_size: int = Field(20, ge=2, description="users of the smallest segment")
    min_samples: int | None = Field(None, ge=1, description="neighbours that make density; none: min_cluster_size")
    selection: Literal["eom", "leaf"] = Field("eom", description="eom: stable regions; leaf: the finest ones")
    max_rows: int = Field(
        20_000, ge=100, description="beyond it a sample of so many users is fitted, then all assigned"
    )


def fit(
    X: Any,
    config: Config,
    rng: np.random.Generator,
    *,
    init: np.ndarray | None = None,
    y: np.ndarray | None = None,
    graph: "sp.spmatrix | None" = None,
) -> Exemplars:
    """Fit on X (n, d) float32, an array or a Dask array.

    A new user belongs with the nearest member of a segment, if it is no farther than the loneliest member of that
    segment is from its nearest fellow; else it is noise.

    Args:
        X: rows.
        config: parameters.
        rng: draws the sample beyond `max_rows`.
        init: not used.
        y: not used.
        graph: not used.

    Returns:
        Exemplars with extras `confidence` (strength of membership of the fitted rows), `fitted_rows`, `noise_share`,
        `warnings`.

    Raises:
        DataError: values that are not finite.
    """
    sampled = X.shape[0] > config.max_rows
    rows = sample_rows(X, config.max_rows, rng)
    found, confidence = _regions(embed(rows, config.space), config)
    labels, _ = canonical(found)
    member = labels >= 0
    reach = _reach(rows[member], labels[member], config.space)
    fitted = Exemplars(rows[member], labels[member], config.space, reach, labels)
    if sampled:
        fitted.labels = fitted.assign(in_memory(X)).labels
    warnings = outlier_warnings(X, fitted.labels)
    if not member.any():
        warnings.append("every user is noise: lower min_cluster_size or min_samples")
    noise = float((fitted.labels < 0).mean())
    fitted.extras |= {"confidence": confidence, "fitted_rows": len(rows), "noise_share": noise, "warnings": warnings}
    return fitted


def _regions(points: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.cluster import HDBSCAN

    if len(points) < max(2, config.min_samples or config.min_cluster_size):
        return np.full(len(points), -1), np.zeros(len(points))
    model = HDBSCAN(
        min_cluster_size=config.min_cluster_size,
        min_samples=config.min_samples,
        cluster_selection_method=config.selection,
        copy=True,
    ).fit(points)
    return model.labels_, model.probabilities_


def _reach(rows: np.ndarray, labels: np.ndarray, space: Space) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    reach = np.zeros(labels.max(initial=-1) + 1)
    for segment in range(len(reach)):
        points = embed(rows[labels == segment], space)
        away = NearestNeighbors(n_neighbors=1).fit(points).kneighbors()[0][:, 0]
        reach[segment] = from_squares(np.square(away.max(keepdims=True)), space)[0]
    return reach


def from_arrays(arrays: dict[str, np.ndarray], config: Config) -> Exemplars:
    """The fitted clusterer again, from `Exemplars.arrays()`."""
    return _exemplars.from_arrays(arrays, config.space)
