"""Every file in tasks/metrics keeps the contract: a kernel of its name, and a compute that never raises on bad luck."""

import json
import math
import re

import numpy as np
import pytest
import scipy.sparse as sp

from schemas.config import EvaluateConfig
from schemas.evaluation import EvaluationContext, HeldOut
from schemas.reports import Metric
from tasks.plugins.find import kinds, plugin
from tests.helpers.histories import histories

NAMES = kinds("metrics")
CONFIG = EvaluateConfig(refits=3, random_draws=2, bootstraps=10, top_n=3)


def context(space="cosine", **changed):
    """Three planted segments and noise, with everything that a metric may ask for."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 30)
    labels = truth.astype(np.int32)
    labels[::15] = -1
    X = (rng.normal(size=(90, 4)) * 0.2 + np.eye(4)[truth] * 3).astype(np.float32)
    touched = (truth[:, None] == np.arange(24) % 3) & (rng.random((90, 24)) < 0.9)
    train = touched & (rng.random((90, 24)) < 0.5)
    held = HeldOut(histories(train), sp.csr_matrix((touched & ~train) * 1.0))
    values = {
        "X": X, "labels": labels, "space": space, "seed": 5, "refit": lambda rows, seed: labels, "heldout": held,
        "heldout_labels": labels, "truth": truth, "fits": np.stack([labels, np.roll(labels, 3), labels]),
    }  # fmt: skip
    return EvaluationContext(**(values | changed))


def measure(name, **changed):
    return plugin("metrics", name).compute(context(**changed), CONFIG)


def test_the_folder_holds_what_the_design_names():
    assert set(NAMES) >= {
        "silhouette", "wcss", "davies_bouldin", "calinski_harabasz", "density_validity", "balance", "noise_share",
        "stability", "agreement", "heldout_lift",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_has_a_kernel_of_its_name(name):
    module = plugin("metrics", name)
    assert callable(getattr(module, name))
    assert getattr(module, name).__doc__


@pytest.mark.parametrize("space", ["cosine", "euclidean"])
@pytest.mark.parametrize("name", NAMES)
def test_measures_the_planted_segments(name, space):
    found = measure(name, space=space)
    assert found.name == name
    assert found.value is not None, found.reason
    assert 0 < found.n <= 90
    assert found.noise_share == pytest.approx(6 / 90)


@pytest.mark.parametrize("name", NAMES)
def test_can_be_logged(name):
    found = measure(name)
    assert Metric.model_validate_json(found.model_dump_json()) == Metric(**json.loads(found.model_dump_json()))
    for key, value in found.details.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", key), key
        if isinstance(value, int | float):
            assert math.isfinite(value), key
    if found.interval:
        low, high = found.interval
        assert low <= found.value <= high


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_number(name):
    assert measure(name) == measure(name)


@pytest.mark.parametrize("name", NAMES)
def test_leaves_its_input_alone(name):
    given = context()
    X, labels, train = given.X.copy(), given.labels.copy(), given.heldout.train.counts.copy()
    plugin("metrics", name).compute(given, CONFIG)
    np.testing.assert_array_equal(given.X, X)
    np.testing.assert_array_equal(given.labels, labels)
    assert (given.heldout.train.counts != train).nnz == 0


@pytest.mark.parametrize("labels", [np.full(90, -1, np.int32), np.zeros(90, np.int32), np.arange(90, dtype=np.int32)])
@pytest.mark.parametrize("name", NAMES)
def test_degenerate_segments_are_a_number_or_missing_with_a_reason(name, labels):
    found = measure(name, labels=labels, heldout_labels=labels, refit=lambda rows, seed: labels)
    assert (found.value is None) == (found.reason is not None)
    assert 0 <= found.noise_share <= 1


@pytest.mark.parametrize(
    ("name", "absent"), [("stability", "refit"), ("agreement", "truth"), ("heldout_lift", "heldout")]
)
def test_what_cannot_be_measured_is_missing_with_a_reason(name, absent):
    found = measure(name, **{absent: None})
    assert found.value is None
    assert found.reason


@pytest.mark.parametrize("name", NAMES)
def test_identical_and_one_dimensional_vectors(name):
    for X in (np.ones((90, 4), np.float32), np.arange(90, dtype=np.float32)[:, None]):
        found = measure(name, X=X)
        assert found.value is None or math.isfinite(found.value)
