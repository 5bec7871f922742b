"""Identity on real users: MovieLens-100K, where it is installed."""

import numpy as np
import pytest

pytest.importorskip("recbole", reason="the MovieLens data set is not installed (deployments/data.txt)")
from tests.benchmarks import bench_identity as bench


def test_a_warm_refit_keeps_the_segments_of_movielens():
    matrix = bench.interactions()
    rows = np.array([bench.once(matrix, seed, frozen=True, n_init=2) for seed in range(bench.SEEDS)])
    warm, plain, inertia, k = np.median(rows, axis=0)
    print(f"moved: warm {warm:.3f}, plain {plain:.3f}; inertia {inertia:.4f}")
    assert warm <= 0.02
    assert inertia <= 1.005
    assert plain > 0.2  # what a refit without memory does to the same users
    assert k == bench.K
