"""Density-based validity against a naive rewrite of the paper, with networkx for the trees."""

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine, euclidean
from sklearn.datasets import make_moons

from schemas.config import EvaluateConfig
from schemas.errors import DataError
from schemas.evaluation import EvaluationContext
from tasks.metrics.density_validity import compute, density_validity


def naive(X, labels, distance):
    n, d = X.shape
    names = sorted(set(labels) - {-1})
    core, trees = {}, {}
    for name in names:
        rows = [i for i in range(n) if labels[i] == name]
        for i in rows:
            powers = [(1 / distance(X[i], X[j])) ** d for j in rows if j != i]
            core[i] = (sum(powers) / len(powers)) ** (-1 / d) if powers else 0.0
        apart = {(i, j): distance(X[i], X[j]) for i, j in itertools.combinations(rows, 2)}
        reach = {(i, j): max(core[i], core[j], apart[i, j]) for i, j in apart}
        tree = trees[name] = nx.Graph()
        tree.add_nodes_from(rows)
        for i, j in sorted(apart, key=lambda pair: (reach[pair], apart[pair])):  # Kruskal; ties by plain distance
            if not nx.has_path(tree, i, j):
                tree.add_edge(i, j, weight=reach[i, j])
    inner = {name: [i for i in tree if tree.degree(i) > 1] or list(tree) for name, tree in trees.items()}
    total = 0.0
    for name in names:
        tree = trees[name]
        edges = [w for i, j, w in tree.edges(data="weight") if tree.degree(i) > 1 and tree.degree(j) > 1]
        sparse = max(edges or [w for _, _, w in tree.edges(data="weight")] or [0.0])
        apart = min(
            max(core[i], core[j], distance(X[i], X[j]))
            for other in names if other != name for i in inner[name] for j in inner[other]
        )  # fmt: skip
        total += 0.0 if len(tree) == 1 else len(tree) * (apart - sparse) / max(apart, sparse)
    return total / n


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, 30), st.integers(2, 5), st.sampled_from(["euclidean", "cosine"]))
def test_equals_the_naive_rewrite(seed, n, d, metric):
    rng = np.random.default_rng(seed)
    X, labels = rng.normal(size=(n, d)), rng.integers(-1, 3, size=n)
    labels[:2] = 0, 1
    expected = naive(X, labels, {"euclidean": euclidean, "cosine": cosine}[metric])
    assert density_validity(X, labels, metric) == pytest.approx(expected, abs=1e-9)


def test_prefers_the_true_moons_to_a_straight_cut():
    X, truth = make_moons(300, noise=0.04, random_state=0)
    cut = (X[:, 0] > 0.5).astype(int)
    assert density_validity(X, truth) > 0 > density_validity(X, cut)


def test_hundreds_of_dimensions_do_not_overflow():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 50)
    X = rng.normal(size=(100, 384)) * 1e-3 + labels[:, None] * 10.0
    assert 0.9 < density_validity(X, labels) <= 1.0


def test_duplicates_zeros_and_noise():
    X = np.repeat([[0.0, 0.0], [5.0, 5.0], [1.0, 0.0]], 4, axis=0)
    labels = np.repeat([0, 1, -1], 4)
    assert density_validity(X, labels) == pytest.approx(8 / 12)  # both segments perfect, noise counts as 0
    assert density_validity(X, labels, "cosine") == pytest.approx(4 / 12)  # zero vectors are far from one another
    assert np.isnan(density_validity(X, np.zeros(12, int)))


def test_compute_samples_and_says_so():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, -1], 1000)
    X = rng.normal(size=(3000, 3)) * 0.1 + labels[:, None] * 8
    found = compute(EvaluationContext(X, labels, "euclidean", seed=1), EvaluateConfig())
    assert found.sampled
    assert found.n == 2000
    assert 0.55 < found.value < 0.7
    assert set(found.details["segments"]) == {"0", "1"}
    with pytest.raises(DataError, match="column 1"):
        density_validity(np.array([[0, np.nan], [1, 1]]), np.array([0, 1]))
