"""DBSCAN equals scikit-learn's, in memory and by pairs of Dask blocks, and its eps is found at the knee."""

import dask.array as da
import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from tasks.clusterers import _neighbours, dbscan
from tasks.numerics.groups import canonical


def draw(seed, n=1500, offset=0.0):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 12))
    centres = 4 * rng.normal(size=(6, d))[rng.integers(6, size=n)]
    X = (centres + rng.normal(size=(n, d)) + offset).astype(np.float32)
    near = NearestNeighbors(n_neighbors=8).fit(X.astype(np.float64)).kneighbors()[0][:, -1]
    return X, float(np.quantile(near, 0.4))  # some are core, some border, some noise


def same_as_scikit_learn(fitted, X, eps, space):
    theirs = DBSCAN(eps=eps, min_samples=6, metric=space).fit(X.astype(np.float64))
    assert np.array_equal(fitted.extras["core"], theirs.core_sample_indices_)
    assert np.array_equal(fitted.labels, canonical(theirs.labels_)[0])
    assert len(set(theirs.labels_)) > 2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("space", ["euclidean", "cosine"])
@pytest.mark.parametrize("lazy", [False, True])
def test_labels_equal_scikit_learns(seed, space, lazy, monkeypatch):
    monkeypatch.setattr(_neighbours, "CELL", 64)  # many cells, so that every path between them is walked
    X, eps = draw(seed)
    eps = 0.02 if space == "cosine" else eps
    given = da.from_array(X, chunks=(600, 1)) if lazy else X
    fitted = dbscan.fit(given, dbscan.Config(eps=eps, min_samples=6, space=space), np.random.default_rng(0))
    same_as_scikit_learn(fitted, X, eps, space)
    assigned = fitted.assign(X)
    core = fitted.extras["core"]
    assert np.array_equal(assigned.labels[core], fitted.labels[core])
    assert np.array_equal(assigned.labels < 0, fitted.labels < 0)
    assert (assigned.distance[core] == 0).all()


def test_far_from_the_origin_rounding_decides_nothing():
    X, eps = draw(3, offset=1000.0)
    fitted = dbscan.fit(X, dbscan.Config(eps=eps, min_samples=6), np.random.default_rng(0))
    same_as_scikit_learn(fitted, X, eps, "euclidean")


def test_neighbours_exactly_at_eps_count():
    X = np.arange(0, 40, dtype=np.float32)[:, None]
    fitted = dbscan.fit(X, dbscan.Config(eps=1.0, min_samples=3), np.random.default_rng(0))
    assert set(fitted.labels) == {0}
    assert len(fitted.extras["core"]) == 38
    fitted = dbscan.fit(X, dbscan.Config(eps=0.999, min_samples=2), np.random.default_rng(0))
    assert set(fitted.labels) == {-1}
    assert "every user is noise" in fitted.extras["warnings"][0]


def test_a_chain_through_many_cells_is_one_segment():
    rng = np.random.default_rng(0)
    chain = np.column_stack([np.arange(6000) * 0.5, np.zeros(6000)]).astype(np.float32)[rng.permutation(6000)]
    fitted = dbscan.fit(chain, dbscan.Config(eps=0.6, min_samples=3), rng)
    assert set(fitted.labels) == {0}


def test_auto_eps_stands_at_the_knee_and_finds_planted_segments():
    rng = np.random.default_rng(1)
    truth = rng.integers(5, size=2000)
    X = (12 * rng.normal(size=(5, 6))[truth] + rng.normal(size=(2000, 6))).astype(np.float32)
    X[:40] = rng.uniform(-40, 40, size=(40, 6))
    fitted = dbscan.fit(X, dbscan.Config(), rng)
    curve = fitted.extras["k_distances"]
    assert (np.diff(curve) >= 0).all()
    assert fitted.extras["eps"] in curve
    inside = fitted.labels[40:] >= 0
    assert inside.mean() > 0.95
    assert adjusted_rand_score(truth[40:][inside], fitted.labels[40:][inside]) > 0.99


def test_an_unseen_user_beyond_eps_is_noise_and_told_the_nearest():
    X = np.concatenate([np.zeros((20, 2)), np.full((30, 2), 5.0)]).astype(np.float32)
    fitted = dbscan.fit(X, dbscan.Config(eps=1.0), np.random.default_rng(0))
    found = fitted.assign(np.array([[0.5, 0], [0, 2], [4, 4]], np.float32))
    assert found.labels.tolist() == [1, -1, -1]
    assert found.distance == pytest.approx([0.5, 2, 2**0.5])
    assert found.second.tolist() == [0, 1, 0]


@pytest.mark.slow
def test_labels_equal_scikit_learns_on_two_workers():
    from dask.distributed import Client, LocalCluster

    X, eps = draw(2, n=6000)
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "1GiB", "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster):
        lazy = da.from_array(X, chunks=(1500, -1))
        fitted = dbscan.fit(lazy, dbscan.Config(eps=eps, min_samples=6), np.random.default_rng(0))
    same_as_scikit_learn(fitted, X, eps, "euclidean")


@pytest.mark.parametrize("eps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_radius_is_a_finite_number_above_zero(eps):
    with pytest.raises(ValidationError, match="eps"):
        dbscan.Config(eps=eps)
