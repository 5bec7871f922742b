"""Deep clustering: an encoder and the centroids of its codes, trained together (DEC; IDEC keeps what rows look like).

Papers: DEC, Xie, Girshick and Farhadi 2016; IDEC, Guo, Gao, Liu and Yin 2017. The autoencoder is pretrained whole, not
layer by layer, and the unit of Student's t is the spread of the segments that K-Means finds in the codes.

A fit depends on its seed, so there are several: the one that agrees most with the others is kept, and what all of them
found stands in `extras`. Distances are of codes, told in the unit of the space: codes spread as widely as the rows.
"""

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.evaluation import Assignment
from tasks.clusterers._autoencoder import Autoencoders, Schedule
from tasks.clusterers._blocks import blocks_of
from tasks.clusterers._common import check_k, check_rows, fewer_warnings, is_dask, outlier_warnings
from tasks.clusterers._distances import Space, from_squares, nearest, points
from tasks.clusterers._exact import Layer, layer_arrays, layers_of, through
from tasks.clusterers._labels import calm
from tasks.clusterers._lloyd import lloyd, sample_rows, seeds, sweeper
from tasks.execution.alone import alone
from tasks.numerics.groups import canonical

if TYPE_CHECKING:
    import scipy.sparse as sp

LEAST_UNIT = 0.05
"""Of the spread of all codes: what Student's t takes for a distance of 1 is no less, however tight the segments are."""


class Config(Section):
    """Parameters of deep clustering."""

    kind: Literal["deep"] = "deep"
    method: Literal["idec", "dec"] = Field("idec", description="idec keeps the reconstruction loss, dec drops it")
    space: Space = Field("euclidean", description="euclidean, or cosine: rows of length 1")
    k: int = Field(20, ge=1, description="segments")
    seeds: int = Field(5, ge=1, le=50, description="fits from other seeds: one is kept, the spread of all is told")
    code: int = Field(10, ge=1, le=512, description="dimensions of the code; never more than the rows have")
    width: int = Field(64, ge=1, le=4096, description="units of each hidden layer")
    depth: int = Field(1, ge=1, le=8, description="hidden layers of the encoder; the decoder has as many")
    epochs: int = Field(100, ge=1, description="passes over all rows in which the autoencoder is pretrained")
    rounds: int = Field(20, ge=0, description="times at most that targets are made anew; 0: K-Means of the codes")
    steps: int = Field(25, ge=1, description="batches of a round")
    weight: float = Field(0.1, gt=0, description="idec: of the clustering loss beside the reconstruction")
    batch: int = Field(256, ge=1, description="rows of a batch")
    learning_rate: float = Field(0.001, gt=0, le=10, description="step size of Adam")
    n_init: int = Field(3, ge=1, description="starts of K-Means in the codes; a warm start is one")
    sample: int = Field(20_000, ge=100, description="rows that it learns from, drawn evenly; all get a label")
    device: str = Field("cpu", description="cpu, cuda or cuda:1, for the training; the CPU alone repeats every byte")


@dataclass
class Coded:
    """Segments that are the nearest of k centroids of codes.

    Attributes:
        layers: of the encoder.
        centre: (d,) float64, taken off the rows.
        scales: (2,) float64: what they are then divided by, and what codes are multiplied with.
        centroids: (k, l) float64, of codes.
        space: the space whose unit distances have.
        labels: (n,) int32 of the rows it was fitted on; empty after loading.
        extras: figures of the fit.
    """

    layers: tuple[Layer, ...]
    centre: np.ndarray
    scales: np.ndarray
    centroids: np.ndarray
    space: Space
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    extras: dict[str, Any] = field(default_factory=dict)

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Codes (n, l) float64 of the rows of X (n, d), each row on its own."""
        rows = (points(check_rows(X, len(self.centre)), self.space) - self.centre) / self.scales[0]
        return through(rows, self.layers) * self.scales[1]

    def assign(self, X: np.ndarray) -> Assignment:
        """The nearest centroid of the code of each row of X (n, d)."""
        labels, distance, second = nearest(self.encode(X), self.centroids, "euclidean")
        return Assignment(labels, from_squares(np.square(distance), self.space), second)

    def arrays(self) -> dict[str, np.ndarray]:
        """The encoder and the centroids."""
        own = {"centre": self.centre, "scales": self.scales, "centroids": self.centroids}
        return {**layer_arrays(self.layers), **own}


def fit(
    X: Any,
    config: Config,
    rng: np.random.Generator,
    *,
    init: np.ndarray | None = None,
    y: np.ndarray | None = None,
    graph: "sp.spmatrix | None" = None,
) -> Coded:
    """Fit on X (n, d) float32, an array or a Dask array of which a sample is in memory.

    Args:
        X: rows.
        config: parameters.
        rng: seeds weights, batches and K-Means.
        init: (k, d) rows whose codes every fit starts from, the champion's centroids say; where fewer, k-means++ adds
            others.
        y: not used.
        graph: not used.

    Returns:
        Coded with extras `fits` ((s, n) int32, the labels of every fit), `kept` (which of them is this one),
        `warnings`.

    Raises:
        DataError: fewer rows than k, values that are not finite, centroids of another shape, or a fit that diverged.
    """
    check_k(X.shape[0], config.k)
    X = X if is_dask(X) else check_rows(X)
    taught, cut = calm(sample_rows(X, max(config.sample, config.k), rng))
    starts = None if init is None or not len(init) else seeds(taught, config.k, rng, init)
    rows = points(taught, config.space)
    frame = rows.mean(axis=0), float(np.sqrt(rows.var(axis=0).mean())) or 1.0
    found = alone(lambda: _trained(rows, frame, config, rng, starts))
    every = np.stack([_labels(X, one) for one in found])
    kept = _middle(every)
    fitted = found[kept]
    fitted.labels, order = canonical(every[kept])
    fitted.centroids = np.ascontiguousarray(fitted.centroids[order])
    warnings = cut + outlier_warnings(X, fitted.labels) + fewer_warnings(config.k, len(order))
    fitted.extras = {"fits": every, "kept": kept, "warnings": warnings}
    return fitted


def _trained(
    rows: np.ndarray,
    frame: tuple[np.ndarray, float],
    config: Config,
    rng: np.random.Generator,
    starts: np.ndarray | None,
) -> list[Coded]:
    """The fits, without labels, of points (n, d) float64 of the space, which `frame` centres and scales."""
    centre, scale = frame
    sizes = (rows.shape[1], *[config.width] * config.depth, min(config.code, rows.shape[1]))
    weight = config.weight if config.method == "idec" else None
    schedule = Schedule(config.epochs, config.rounds, config.steps, config.batch, config.learning_rate, weight)
    standard = ((rows - centre) / scale).astype(np.float32)
    net = Autoencoders(standard, sizes, config.seeds, schedule, int(rng.integers(2**62)), config.device)
    net.pretrain()
    given = None if starts is None else net.codes((points(starts, config.space) - centre) / scale).cpu().numpy()
    centroids, units = _in_codes(net.codes().cpu().numpy(), given, config, rng)
    learned = net.refine(centroids, units)
    spreads = net.codes().double().var(dim=1, correction=0).sum(dim=1).cpu().numpy()
    found = []
    for fit, spread in enumerate(spreads.tolist()):
        unit = scale * float(np.sqrt(rows.shape[1] / spread)) if spread > 0 else scale
        layers = tuple(Layer.of(*layer) for layer in net.encoder(fit))
        found.append(Coded(layers, centre, np.array([scale, unit]), learned[fit] * unit, config.space))
    return found


def _in_codes(
    codes: np.ndarray, given: np.ndarray | None, config: Config, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """K-Means centroids (s, k, l) of the codes (s, n, l) of each fit, and the usual distance (s,) from them."""
    centroids, units = [], []
    for fit, own in enumerate(codes):
        starts = [seeds(own, config.k, rng) for _ in range(config.n_init)] if given is None else [given[fit]]
        tol = 1e-4 * float(own.var(axis=0, dtype=np.float64).mean())
        sweep = sweeper(own, "euclidean")
        best = min((lloyd(sweep, start, "euclidean", 300, tol) for start in starts), key=lambda found: found[1])
        centroids.append(best[0])
        spread = float(own.var(axis=0, dtype=np.float64).sum())
        units.append(np.sqrt(max(best[1] / len(own), LEAST_UNIT**2 * spread)) or 1.0)
    return np.stack(centroids), np.array(units)


def _labels(X: Any, fitted: Coded) -> np.ndarray:
    """Labels (n,) of all rows of X, an array or a Dask array read block by block."""
    blocks = blocks_of(X)
    calls = [(lambda rows: fitted.assign(rows).labels, (block,), ()) for block in range(len(blocks.parts))]
    return np.concatenate(blocks.run(calls))


def _middle(every: np.ndarray) -> int:
    """The fit of labels (s, n) whose mean adjusted Rand index with the others is the highest; ties to the first."""
    from sklearn.metrics import adjusted_rand_score

    agreement = np.zeros((len(every), len(every)))
    for one, other in combinations(range(len(every)), 2):
        agreement[one, other] = agreement[other, one] = adjusted_rand_score(every[one], every[other])
    return int(agreement.sum(axis=1).argmax())


def from_arrays(arrays: dict[str, np.ndarray], config: Config) -> Coded:
    """The fitted clusterer again, from `Coded.arrays()`."""
    return Coded(layers_of(arrays), arrays["centre"], arrays["scales"], arrays["centroids"], config.space)
