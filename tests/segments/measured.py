"""A world of three kinds of users, and models of it measured with the real metrics: what the gates are tried on."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import scipy.sparse as sp
from sklearn.cluster import KMeans

from schemas.reports import Metric
from tasks.metrics.heldout_lift import heldout_lift
from tasks.metrics.silhouette import silhouette
from tasks.metrics.stability import stability
from tasks.segments import identity
from tasks.segments.gates import GateInput, SliceFigures

AS_OF = datetime(2026, 1, 31, tzinfo=UTC)
N, K, ITEMS = 240, 3, 45


@dataclass(frozen=True)
class World:
    """Users with a kind that shows in vectors and in what they consume; the last fifth have no test items."""

    X: np.ndarray
    kinds: np.ndarray
    minority: np.ndarray
    train: sp.csr_matrix
    test: sp.csr_matrix


@lru_cache
def world(seed, weights=(1, 1, 1)):
    rng = np.random.default_rng(seed)
    shares = np.array(weights) / sum(weights)
    kinds = rng.permutation(np.repeat(np.arange(K), np.round(shares * N).astype(int))[:N])
    kinds = np.append(kinds, np.zeros(N - len(kinds), int))
    X = (np.eye(K, 6)[kinds] * 5 + rng.normal(size=(N, 6))).astype(np.float32)
    taste = np.full((K, ITEMS), 0.04)
    for kind in range(K):
        taste[kind, kind * 15 : kind * 15 + 15] = 0.45
    train = rng.random((N, ITEMS)) < taste[kinds]
    test = (rng.random((N, ITEMS)) < taste[kinds]) & ~train
    test[N * 4 // 5 :] = False
    return World(X, kinds, np.arange(N) % 5 == 4, sp.csr_matrix(train, dtype=float), sp.csr_matrix(test, dtype=float))


def measure(w, labels, *, train_labels=None, ids=None, seed=0, refit=None, **facts):
    """Everything the gates look at, with the real metrics."""
    labels = np.asarray(labels)
    train_labels = labels if train_labels is None else train_labels
    k = max(int(labels.max()) + 1, 1)
    rng = np.random.default_rng(seed)
    found = heldout_lift(w.train, w.test, train_labels, top_n=5, draws=3, bootstraps=60, rng=rng)
    steady = stability(labels, refit or nearest(w.X, labels, k), 4, rng)
    details = {n: v for n, v in found.numbers.items() if np.isfinite(v)} | {"intervals": found.intervals}
    n = len(labels)
    base = GateInput(
        data=f"data-{seed}",
        metrics={
            "silhouette": Metric.of("silhouette", silhouette(w.X, labels, "euclidean"), n, space="euclidean"),
            "stability": Metric.of("stability", steady.mean, n, interval=steady.interval),
            "heldout_lift": Metric.of("heldout_lift", found.value, n, interval=found.interval, details=details),
        },
        users=n, rows=n, distinct=n, unassigned=int((labels < 0).sum()),
        sizes={(ids or names(k))[i]: int((labels == i).sum()) for i in range(k)},
        slices={"gender": {g: group(w, labels, train_labels, rows) for g, rows in groups(w).items()}},
        features_sha256="a" * 64, expected_features_sha256="a" * 64, leaked=0, as_of=AS_OF,
        newest_event=AS_OF - timedelta(days=1), validated=True, previous_users=n, published=True,
    )  # fmt: skip
    return base.model_copy(update=facts)


def groups(w):
    return {"f": np.flatnonzero(w.minority), "m": np.flatnonzero(~w.minority)}


def group(w, labels, train_labels, rows):
    part = heldout_lift(w.train[rows], w.test[rows], train_labels[rows], top_n=5, draws=1, bootstraps=1)
    return SliceFigures(n=len(rows), unassigned=float((labels[rows] < 0).mean()), lift=part.value)


def names(k):
    return [identity.segment_id(i + 1) for i in range(k)]


def nearest(X, labels, k):
    start = identity.warm_centroids(X, labels, k)

    def refit(rows, seed):
        fitted = KMeans(k, init=start, n_init=1, max_iter=5).fit(X[rows])
        return np.where(labels < 0, -1, fitted.predict(X))

    return refit


def moved(before, after):
    """Churn between two labelings whose labels mean the same ids."""
    return identity.churn(*(np.array([*names(20), ""], object)[side] for side in (before, after)))


def spoil(labels, share, rng, among=None):
    """Labels with a share of users thrown into another segment."""
    pool = np.arange(len(labels)) if among is None else among
    hit = rng.choice(pool, int(share * len(labels)), replace=False)
    out = labels.copy()
    out[hit] = (out[hit] + rng.integers(1, K, len(hit))) % K
    return out


__all__ = ["AS_OF", "K", "N", "World", "measure", "moved", "names", "replace", "spoil", "world"]
