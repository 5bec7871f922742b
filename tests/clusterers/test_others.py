"""Hierarchical, HDBSCAN, mixtures and communities, each against its library or planted truth."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from schemas.errors import DataError, UsageError
from tasks.clusterers import communities, gaussian_mixture, hdbscan, hierarchical
from tasks.numerics.groups import canonical


def draw(n=900, d=6, groups=4, seed=0, spread=8.0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(groups, size=n)
    return (spread * rng.normal(size=(groups, d))[truth] + rng.normal(size=(n, d))).astype(np.float32), truth


@pytest.mark.parametrize("method", ["ward", "average"])
def test_hierarchical_equals_scipys_cut(method):
    X, _ = draw(n=300, spread=1.0)
    merges = linkage(X.astype(np.float64), method)
    height = float(merges[-12, 2] + merges[-11, 2]) / 2
    by_count = hierarchical.fit(X, hierarchical.Config(linkage=method, k=12), np.random.default_rng(0))
    by_height = hierarchical.fit(X, hierarchical.Config(linkage=method, height=height), np.random.default_rng(0))
    expected = canonical(fcluster(merges, height, "distance"))[0]
    assert np.array_equal(by_count.labels, expected)
    assert np.array_equal(by_height.labels, expected)
    assert np.allclose(by_count.extras["linkage"], merges)


@pytest.mark.parametrize("space", ["euclidean", "cosine"])
@pytest.mark.parametrize("method", ["ward", "average"])
def test_hierarchical_on_micro_clusters_finds_planted_segments(space, method):
    X, truth = draw(n=1500)
    config = hierarchical.Config(space=space, linkage=method, k=4, max_rows=500, micro=60)
    fitted = hierarchical.fit(X, config, np.random.default_rng(0))
    assert adjusted_rand_score(truth, fitted.labels) > 0.99
    assert len(fitted.extras["linkage"]) == 59
    assert np.array_equal(fitted.assign(X).labels, fitted.labels)


def test_distance_of_hierarchical_is_to_the_segments_mean():
    X, _ = draw()
    fitted = hierarchical.fit(X, hierarchical.Config(k=4), np.random.default_rng(0))
    found = fitted.assign(X[:50])
    means = np.stack([X[fitted.labels == j].mean(axis=0, dtype=np.float64) for j in range(4)])
    assert found.distance == pytest.approx(np.linalg.norm(X[:50] - means[found.labels], axis=1), rel=1e-9)


def test_hdbscan_beyond_its_size_fits_a_sample_and_assigns_all():
    X, truth = draw(n=1500)
    fitted = hdbscan.fit(X, hdbscan.Config(max_rows=500), np.random.default_rng(0))
    assert fitted.extras["fitted_rows"] == 500
    inside = fitted.labels >= 0
    assert inside.mean() > 0.8
    assert adjusted_rand_score(truth[inside], fitted.labels[inside]) > 0.99
    assert fitted.assign(np.full((1, 6), 500, np.float32)).labels.tolist() == [-1]


@pytest.mark.parametrize("covariance", ["diag", "spherical"])
def test_mixture_responsibilities_equal_scikit_learns(covariance):
    X, _ = draw(spread=1.5)
    fitted = gaussian_mixture.fit(X, gaussian_mixture.Config(k=4, covariance=covariance), np.random.default_rng(0))
    theirs = GaussianMixture(4, covariance_type=covariance)
    theirs.means_, theirs.weights_ = fitted.means, fitted.weights
    theirs.covariances_ = fitted.variances if covariance == "diag" else fitted.variances[:, 0]
    theirs.precisions_cholesky_ = 1 / np.sqrt(theirs.covariances_)
    assert fitted.responsibilities(X) == pytest.approx(theirs.predict_proba(X.astype(np.float64)), abs=1e-9)
    assert np.array_equal(fitted.labels, theirs.predict(X.astype(np.float64)))
    assert fitted.extras["confidence"].min() >= 0.25


def test_mixture_starts_from_given_means():
    X, truth = draw()
    means = np.stack([X[truth == j].mean(axis=0) for j in range(4)])
    fitted = gaussian_mixture.fit(X, gaussian_mixture.Config(k=4), np.random.default_rng(0), init=means)
    assert adjusted_rand_score(truth, fitted.labels) == 1
    with pytest.raises(DataError, match="starting means"):
        gaussian_mixture.fit(X, gaussian_mixture.Config(k=5), np.random.default_rng(0), init=means)


def test_communities_of_a_given_graph_are_its_cliques():
    rng = np.random.default_rng(0)
    graph = nx.to_scipy_sparse_array(nx.connected_caveman_graph(6, 8))
    graph = sp.block_diag([graph, sp.csr_matrix((1, 1))]).tocsr()  # and a hermit
    X = rng.normal(size=(49, 3)).astype(np.float32)
    fitted = communities.fit(X, communities.Config(min_users=2), rng, graph=graph)
    assert adjusted_rand_score(np.arange(48) // 8, fitted.labels[:48]) == 1
    assert fitted.labels[48] == -1
    groups = [set(np.flatnonzero(fitted.labels == j)) for j in range(6)] + [{48}]
    whole = nx.from_scipy_sparse_array(graph)
    assert fitted.extras["modularity"] == pytest.approx(nx.community.modularity(whole, groups))


def test_a_graph_that_does_not_fit_is_refused():
    X, _ = draw(n=20)
    for bad, words in (
        (np.zeros((19, 19)), "19 x 19"),
        (-np.eye(20), "negative"),
        (np.full((20, 20), np.nan), "finite"),
    ):
        with pytest.raises(DataError, match=words):
            communities.fit(X, communities.Config(), np.random.default_rng(0), graph=sp.csr_matrix(bad))


def test_leiden_finds_planted_segments_or_names_its_extra():
    X, truth = draw()
    config = communities.Config(algorithm="leiden", space="euclidean", resolution=0.2)
    try:
        import leidenalg  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match="leiden"):
            communities.fit(X, config, np.random.default_rng(0))
    else:
        fitted = communities.fit(X, config, np.random.default_rng(0))
        assert adjusted_rand_score(truth, fitted.labels) > 0.99
