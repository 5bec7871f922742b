"""Identity on real users: MovieLens-100K, where it is installed."""

import numpy as np
import pytest

pytest.importorskip("recbole", reason="the MovieLens data set is not installed (deployments/data.txt)")
from tests.helpers import warm_refits


def test_a_warm_refit_keeps_the_segments_of_movielens():
    matrix = warm_refits.interactions()
    rows = np.array([warm_refits.once(matrix, seed, frozen=True, n_init=2) for seed in range(warm_refits.SEEDS)])
    warm, plain, inertia, k = np.median(rows, axis=0)
    print(f"moved: warm {warm:.3f}, plain {plain:.3f}; inertia {inertia:.4f}")
    assert warm <= 0.02
    assert inertia <= 1.005
    assert plain > 0.2  # what a refit without memory does to the same users
    assert k == warm_refits.K
