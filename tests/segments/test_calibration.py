import dataclasses

import numpy as np
import pytest

from schemas.artifacts import State
from schemas.config import CalibrationConfig
from schemas.errors import DataError
from schemas.evaluation import Assignment
from tasks.numerics.groups import means
from tasks.segments import calibration
from tests.helpers.segmenters import NearestMean, blobs, segmenter

CONFIG = CalibrationConfig()


def kmeans_refit(X, k):
    def refit(rows, seed):
        from sklearn.cluster import KMeans

        return KMeans(k, n_init=1, random_state=seed).fit(X[rows]).predict(X)

    return refit


def fitted(X, centres, **changes):
    found = NearestMean(centres).assign(X)
    return found, calibration.fit(
        X, found, k=len(centres), space="euclidean",
        config=CONFIG.model_copy(update=changes.pop("config", {})), **changes,
    )  # fmt: skip


def test_floors_are_the_quantile_of_members_times_the_slack():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, -1], [400, 300, 20, 50])
    distance = rng.gamma(2, 1 + labels.clip(0), size=770)
    floors = calibration.floors(labels, distance, 3, CONFIG)
    for label in (0, 1):
        own = np.sort(distance[labels == label])
        assert floors[label] == pytest.approx(np.quantile(own, CONFIG.floor_quantile) * CONFIG.floor_slack)
        assert (own <= floors[label]).mean() >= CONFIG.floor_quantile
    assert floors[2] >= floors[:2].max()  # too few to know: not stricter than the others
    assert len(set(calibration.floors(np.arange(10) % 2, rng.random(10), 2, CONFIG))) == 1


def test_few_of_unseen_users_are_turned_away_and_all_strangers_are():
    X, _, centres = blobs(2000, k=4, d=8, spread=1.0, seed=3)
    unseen, _, _ = blobs(2000, k=4, d=8, spread=1.0, seed=3)
    rng = np.random.default_rng(9)
    unseen = (centres[rng.integers(0, 4, 2000)] + rng.normal(size=(2000, 8))).astype(np.float32)
    ours = segmenter(X, centres)
    assert (ours.assign_vectors(unseen).labels < 0).mean() < 0.005
    assert (ours.assign_vectors(unseen + 30).labels < 0).all()


def test_margins_are_geometry():
    means, knots = np.array([[0.0, 0], [4, 0]]), np.array([[-1.0, 1], [0, 1]])
    calib = calibration.Calibration("euclidean", np.ones(2), means, knots, {})
    X = np.array([[0, 0], [2, 0], [1, 0], [3, 0]], np.float32)
    got = calib.margin(X, np.array([0, 0, 0, 0]), np.array([1, 1, -1, 1]))
    assert got.tolist() == [1.0, 0.0, 0.5, -0.5]
    assert np.isnan(calib.margin(X[:1], np.array([-1]), np.array([-1]))).all()
    single = calibration.Calibration("euclidean", np.ones(1), np.zeros((1, 2)), knots, {})
    assert single.margin(X, np.zeros(4, int), np.full(4, -1)).tolist() == [1.0] * 4
    assert calib.confidence(np.array([np.nan])).tolist() == [0.0]


def test_confidence_is_the_share_that_agrees_on_users_not_seen():
    """Overlapping blobs: what the curve learned on half of the users holds on the other half."""
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0], [2.2, 0], [0, 2.2], [2.2, 2.2]])
    X = (centres[rng.integers(0, 4, 3000)] + rng.normal(size=(3000, 2))).astype(np.float32)
    _, learned = fitted(X[:1500], centres, refit=kmeans_refit(X[:1500], 4), seed=1)
    other = NearestMean(centres).assign(X[1500:])
    seen = calibration.agreement(learned, X[1500:], other.labels, other.second, kmeans_refit(X[1500:], 4), 5, 2)
    confidence = learned.confidence(seen.margins)
    error = calibration.calibration_error(confidence, seen.agree)
    print(f"expected calibration error {error:.3f}, agreement {seen.agree.mean():.3f}")
    assert error < 0.05
    assert learned.facts["calibrated"]
    assert 0.6 < learned.facts["agreement"] < 1
    sure, unsure = seen.agree[confidence > 0.9].mean(), seen.agree[confidence < 0.7].mean()
    assert sure > unsure + 0.15


def test_the_curve_rises_and_is_never_certain():
    X, _, centres = blobs(300, spread=0.2)
    _, learned = fitted(X, centres, refit=kmeans_refit(X, 3))
    assert (np.diff(learned.knots[1]) >= 0).all()
    assert learned.knots[1].max() <= 1 - 1 / 302
    noise = calibration.HeldOutAgreement(np.linspace(-1, 1, 5000), np.random.default_rng(0).random(5000) < 0.5)
    assert calibration.confidence_knots(noise).shape[1] <= 200


def test_without_refits_it_says_that_it_is_a_guess():
    X, _, centres = blobs(300)
    for changes in ({}, {"refit": kmeans_refit(X, 3), "config": {"folds": 0}}):
        assert not fitted(X, centres, **changes)[1].facts["calibrated"]


def test_a_segment_without_members_is_refused():
    X, labels, _ = blobs(30)
    with pytest.raises(DataError, match="no members"):
        calibration.fit(
            X, Assignment(np.zeros(30, int), np.ones(30), np.ones(30, int)), k=2, space="euclidean", config=CONFIG
        )
    assert np.isnan(means(X, np.where(labels == 1, -1, labels), 3, np.nan)[1]).all()


@pytest.mark.parametrize(
    "change",
    [
        {"floors": np.ones(2)}, {"floors": np.array([1, 1, np.nan])}, {"centroids": np.zeros((3, 5))},
        {"knots": np.array([[0.0, 0.0], [0, 1]])}, {"knots": np.array([[0.0, 1], [0, 1.5]])},
        {"knots": np.zeros((2, 0))}, {"knots": np.zeros(3)},
    ],
)  # fmt: skip
def test_a_calibration_that_does_not_fit_is_refused(change):
    X, _, centres = blobs()
    state = fitted(X, centres)[1].to_state()
    back = calibration.from_state(state, 3, 4)
    assert dataclasses.asdict(back).keys() == {"space", "floors", "centroids", "knots", "facts"}
    with pytest.raises(DataError, match="calibration"):
        calibration.from_state(State({**state.arrays, **change}, state.meta), 3, 4)
