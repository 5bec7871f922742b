"""Distances are float64 differences, the same for one row as for a thousand, and ties go to the lower number."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.spatial.distance import cdist

from tasks.clusterers._distances import nearest
from tasks.clusterers._exemplars import Exemplars


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 80),
    k=st.integers(1, 9),
    d=st.integers(1, 40),
    offset=st.sampled_from([0.0, 1e3, 1e6]),
    space=st.sampled_from(["euclidean", "cosine"]),
)
def test_nearest_equals_the_oracle_and_each_row_alone(seed, n, k, d, offset, space):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, d)) + offset).astype(np.float32)
    centroids = rng.normal(size=(k, d)) + offset
    labels, distance, second = nearest(X, centroids, space)
    oracle = cdist(X.astype(np.float64), centroids, space)
    assert distance == pytest.approx(oracle.min(axis=1), rel=1e-9, abs=1e-12)
    assert np.allclose(oracle[np.arange(n), labels], oracle.min(axis=1), rtol=1e-9, atol=1e-12)
    if k > 1:
        assert np.allclose(oracle[np.arange(n), second], np.sort(oracle, axis=1)[:, 1], rtol=1e-9, atol=1e-12)
    for row in range(0, n, 11):
        alone = nearest(X[row : row + 1], centroids, space)
        assert (alone[0][0], alone[1][0], alone[2][0]) == (labels[row], distance[row], second[row])


def test_ties_go_to_the_lower_number():
    labels, distance, second = nearest(np.zeros((3, 2), np.float32), np.array([[1.0, 0], [0, 1], [-1, 0]]), "euclidean")
    assert (labels.tolist(), distance.tolist(), second.tolist()) == ([0, 0, 0], [1, 1, 1], [1, 1, 1])


def test_a_row_of_zeros_is_at_distance_one_under_cosine():
    X = np.array([[0, 0], [2, 0]], np.float32)
    labels, distance, _ = nearest(X, np.array([[0.0, 1], [1, 0], [0, 0]]), "cosine")
    assert labels.tolist() == [0, 1]
    assert distance.tolist() == [1, 0]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    m=st.integers(1, 400),
    groups=st.integers(1, 5),
    d=st.integers(1, 12),
    offset=st.sampled_from([0.0, 1e4]),
    space=st.sampled_from(["euclidean", "cosine"]),
)
def test_nearest_exemplar_equals_the_oracle(seed, m, groups, d, offset, space):
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(m, d)) + offset).astype(np.float32)
    owner = np.append(np.arange(groups), rng.integers(groups, size=m))[:m].astype(np.int32)
    X = np.concatenate([rows[:20], (rng.normal(size=(40, d)) + offset).astype(np.float32)])
    found = Exemplars(rows, owner, space).assign(X)
    away = cdist(X.astype(np.float64), rows.astype(np.float64), space)
    best = np.stack([away[:, owner == g].min(axis=1) for g in range(owner.max() + 1)], axis=1)
    assert found.distance == pytest.approx(best.min(axis=1), rel=1e-9, abs=1e-12)
    assert np.allclose(best[np.arange(len(X)), found.labels], best.min(axis=1), rtol=1e-9, atol=1e-12)
    if best.shape[1] > 1:
        assert np.allclose(best[np.arange(len(X)), found.second], np.sort(best)[:, 1], rtol=1e-9, atol=1e-12)
    alone = Exemplars(rows, owner, space).assign(X[7:8] if len(X) > 7 else X[:1])
    row = 7 if len(X) > 7 else 0
    assert alone.distance[0] == found.distance[row]
