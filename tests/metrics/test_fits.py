"""The spread of fits from other seeds, against scikit-learn and NumPy."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from schemas.config import EvaluateConfig
from schemas.evaluation import EvaluationContext
from tasks.metrics import fits


def planted(fits_made=5):
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=90)
    X = (rng.normal(size=(90, 4)) + 4 * np.eye(4)[truth]).astype(np.float32)
    every = np.stack([np.where(rng.random(90) < 0.1 * s, rng.integers(3, size=90), truth) for s in range(fits_made)])
    return X, every.astype(np.int32)


def measure(X, every):
    context = EvaluationContext(X=X, labels=every[0], space="euclidean", seed=0, fits=every)
    return fits.compute(context, EvaluateConfig())


def test_medians_and_quartiles_are_those_of_all_fits():
    X, every = planted()
    found = measure(X, every)
    rand = [adjusted_rand_score(a, b) for a, b in combinations(every, 2)]
    silhouettes = [silhouette_score(X, labels, metric="cosine") for labels in every]
    squares = [sum(((X[one == j] - X[one == j].mean(0)) ** 2).sum() for j in range(3)) for one in every]
    low, middle, high = np.quantile(rand, [0.25, 0.5, 0.75])
    assert (found.value, found.details["low"], found.details["high"]) == pytest.approx((middle, low, high))
    assert found.details["count"] == 5
    for name, values in (("silhouette", silhouettes), ("wcss", squares)):
        told = [found.details[key] for key in (f"{name}_low", name, f"{name}_high")]
        assert told == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]), rel=1e-5)


def test_of_one_fit_there_is_no_spread():
    X, every = planted(1)
    assert measure(X, every).value is None
    assert measure(X, every).reason == "the algorithm makes one fit"


def test_fits_that_put_all_users_together_have_no_silhouette():
    X, every = planted(3)
    found = measure(X, np.zeros_like(every))
    assert found.value == 1
    assert "silhouette" not in found.details
    assert found.details["wcss"] > 0
