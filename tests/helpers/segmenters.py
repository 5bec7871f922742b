"""Small fitted things whose answers are provable."""

from datetime import UTC, datetime

import numpy as np
import polars as pl

from schemas.artifacts import State
from schemas.config import CalibrationConfig
from schemas.evaluation import Assignment
from tasks.segments import _distances, calibration
from tasks.segments.bundle import Bundle, Encoder, Family, Manifest, Plugin, Segment
from tasks.segments.segmenter import Block, Rows, Segmenter

AS_OF = datetime(2026, 1, 31, tzinfo=UTC)


class NearestMean:
    """A clusterer that is nothing but its centroids, with noise beyond `radius`."""

    def __init__(self, centroids, space="euclidean", radius=np.inf):
        self.centroids, self.space, self.radius = np.asarray(centroids, np.float64), space, radius

    def assign(self, X):
        distances = _distances.table(X, self.centroids, self.space)
        order = np.argsort(distances, axis=1, kind="stable")
        first = distances[np.arange(len(X)), order[:, 0]]
        labels = np.where(first <= self.radius, order[:, 0], -1).astype(np.int32)
        second = order[:, 1].astype(np.int32) if len(self.centroids) > 1 else np.full(len(X), -1, np.int32)
        return Assignment(labels, first, second)


class Identity:
    """A representation that lays the blocks side by side and fills the unknown with 0."""

    def transform(self, blocks):
        return np.nan_to_num(np.concatenate(list(blocks.values()), axis=1)).astype(np.float32)


def blobs(n=300, k=3, d=4, seed=0, spread=0.3, gap=4.0):
    """X (n, d) float32, labels and centroids of k well separated blobs."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d)) * gap
    labels = rng.integers(0, k, n)
    labels[:k] = np.arange(k)
    X = (centres[labels] + rng.normal(size=(n, d)) * spread).astype(np.float32)
    return X, labels, centres


def manifest(**changes):
    facts = {
        "segmentation": "demo", "space": "euclidean", "dimension": 4, "as_of": AS_OF, "code_version": "0" * 64,
        "families": (Family(family="behaviour", config={"kind": "behaviour"}, columns=("a", "b")),),
        "texts": {}, "represent": {}, "clusterer": Plugin(kind="kmeans", config={"kind": "kmeans"}),
        "encoder": Encoder(kind="hashing", config={}, fingerprint="f" * 64, weights_sha256="1" * 64, dimension=2),
        "calibration": {}, "next_number": 9,
        "segments": tuple(Segment(id=f"s00{i}", name=f"segment {i}") for i in (1, 4, 8)),
    }  # fmt: skip
    return Manifest(**{**facts, **changes})


def bundle(**changes):
    X, _, centres = blobs()
    found = NearestMean(centres).assign(X)
    fitted = calibration.fit(X, found, k=3, space="euclidean", config=CalibrationConfig())
    states = {
        "features.behaviour": State({"edges": np.arange(5)}, {"columns": ["a", "b"], "names": ["é", "分群"]}),
        "texts": State({"fallback": np.zeros(2, np.float32)}, {"items": 7}),
        "representation": State({"mean": np.zeros(4), "flag": np.array(True), "empty": np.empty((0, 3), np.float32)}),
        "clusterer": State({"centroids": centres}),
        "calibration": fitted.to_state(),
    }
    return Bundle(manifest(**changes.pop("manifest", {})), {**states, **changes})


def frame_block(name, columns, width=None):
    """A block read from the bucket's `users` table: the columns as they stand."""

    def build(bucket, as_of):
        frame = bucket["users"].sort("user_id")
        return Rows(frame["user_id"], frame.select(columns).to_numpy().astype(np.float32))

    return Block(name, tuple(columns), width or len(columns), ("users",), build)


def users(X, prefix="u"):
    ids = [f"{prefix}{i:06d}" for i in range(len(X))]
    return pl.DataFrame({"user_id": ids, **{f"x{j}": X[:, j] for j in range(X.shape[1])}})


def segmenter(X, centres, space="euclidean", config=None, radius=np.inf, reasons=None, refit=None):
    clusterer = NearestMean(centres, space, radius)
    found = clusterer.assign(X)
    config = config or CalibrationConfig()
    fitted = calibration.fit(X, found, k=len(centres), space=space, config=config, refit=refit)
    d = X.shape[1]
    return Segmenter(
        ids=tuple(f"s{i + 1:03d}" for i in range(len(centres))), names=tuple(f"name {i}" for i in range(len(centres))),
        dimension=d, blocks=(frame_block("plain", [f"x{j}" for j in range(d)]),), representation=Identity(),
        clusterer=clusterer, calibration=fitted, config=config, reasons=reasons,
    )  # fmt: skip
