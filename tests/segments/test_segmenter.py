import dataclasses

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import tables
from schemas.config import CalibrationConfig
from schemas.errors import DataError
from tasks.segments import _distances
from tasks.segments import reasons as reasoning
from tasks.segments._memberships import weigh
from tests.helpers.segmenters import AS_OF, blobs, frame_block, segmenter, users


@pytest.mark.parametrize("space", ["euclidean", "cosine"])
def test_one_user_and_many_get_the_same_bits(space):
    X, _, centres = blobs(500, k=7, d=33, spread=3.0)
    ours = segmenter(X, centres, space)
    reasons = reasoning.fit([(X, ours.assign_vectors(X).labels)], [f"plain.x{j}" for j in range(33)], 7)
    ours = dataclasses.replace(ours, reasons=reasons)
    whole = ours.assign({"users": users(X)}, AS_OF, "1")
    alone = pl.concat([ours.assign({"users": users(X)[i : i + 1]}, AS_OF, "1") for i in range(0, 500, 7)])
    assert whole[::7].equals(alone)  # equals compares every float exactly
    assert whole[tables.DISTANCE][::7].to_numpy().tobytes() == alone[tables.DISTANCE].to_numpy().tobytes()


@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("space", ["euclidean", "cosine"])
def test_distances_do_not_depend_on_company_or_layout(space, n, d, seed):
    rng = np.random.default_rng(seed)
    X, C = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=(3, d))
    whole = _distances.table(X, C, space)
    assert all(_distances.table(X[i : i + 1], C, space).tobytes() == whole[i : i + 1].tobytes() for i in range(n))
    assert _distances.table(np.asfortranarray(X), C, space).tobytes() == whole.tobytes()


@pytest.mark.parametrize("space", ["euclidean", "cosine"])
def test_distances_are_scipys(space):
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng(3)
    X, C = rng.normal(size=(50, 9)), rng.normal(size=(4, 9))
    np.testing.assert_allclose(_distances.table(X, C, space), cdist(X, C, space), atol=1e-12)
    assert (_distances.table(np.zeros((1, 9)), C, "cosine") == 1).all()


def test_the_frame_is_the_contract_and_the_planted_truth():
    X, labels, centres = blobs(300, spread=0.2)
    out = segmenter(X, centres).assign({"users": users(X).reverse()}, AS_OF, "7")
    assert out.schema == pl.Schema(tables.ASSIGNMENTS.polars_schema())
    assert out[tables.USER_ID].is_sorted()
    assert out[tables.USER_ID].n_unique() == 300
    assert out[tables.SEGMENT_ID].to_list() == [f"s{label + 1:03d}" for label in labels]
    assert set(out[tables.MODEL_VERSION]) == {"7"}
    assert set(out[tables.AS_OF]) == {AS_OF}
    assert (out[tables.SECOND_SEGMENT_ID] != out[tables.SEGMENT_ID]).all()
    assert out[tables.CONFIDENCE].is_between(0, 1).all()


def soft(X, centres, space="euclidean"):
    """By hand: the nearest mean first, then by weight, which is 1 / squared distance; under cosine 1 / distance."""
    from scipy.spatial.distance import cdist

    distances = cdist(np.asarray(X, np.float64), centres, "sqeuclidean" if space == "euclidean" else "cosine")
    order = np.argsort(distances, axis=1, kind="stable")[:, :3]
    raw = 1 / np.take_along_axis(distances, order, axis=1)
    return order, raw / raw.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("space", ["euclidean", "cosine"])
def test_memberships_are_those_of_fuzzy_c_means_of_the_three_nearest(space):
    rng = np.random.default_rng(1)
    X, centres = rng.normal(size=(200, 5)).astype(np.float32), rng.normal(size=(6, 5))
    order, weights = soft(X, centres, space)
    found = weigh(X, order[:, 0], centres, space)
    assert (found.labels == order).all()
    np.testing.assert_allclose(found.weights, weights, rtol=1e-9)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1)
    one = [weigh(X[[row]], order[[row], 0], centres, space) for row in range(200)]
    assert (np.vstack([each.weights for each in one]) == found.weights).all(), "to the last bit"


def test_a_user_on_a_mean_is_all_of_it_and_the_own_segment_comes_first():
    centres = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [9.0, 9.0]])
    found = weigh(centres[[1]].astype(np.float32), np.array([1]), centres, "euclidean")
    assert found.labels.tolist() == [[1, 0, 2]]
    assert found.weights.tolist() == [[1.0, 0.0, 0.0]]
    other = weigh(np.array([[1.0, 0.0]], np.float32), np.array([1]), centres, "euclidean")  # a density clusterer's
    assert other.labels.tolist() == [[1, 0, 2]]
    assert other.weights[0, 1] > other.weights[0, 0]
    alone = weigh(np.ones((2, 2), np.float32), np.array([0, 0]), centres[:1], "euclidean")
    assert alone.weights.tolist() == [[1.0], [1.0]]


def test_the_frame_tells_memberships_of_whoever_is_assigned():
    X, _, centres = blobs(300, spread=0.2)
    far = np.vstack([X, centres[1] + 50]).astype(np.float32)
    ours = segmenter(X, centres)
    out = ours.assign({"users": users(far)}, AS_OF, "1")
    order, weights = soft(X, ours.calibration.centroids)
    told = out["memberships"].to_list()
    assert told[-1] is None
    assert [[one["segment_id"] for one in own] for own in told[:-1]] == [
        [f"s{label + 1:03d}" for label in row] for row in order
    ]
    np.testing.assert_allclose([[one["weight"] for one in own] for own in told[:-1]], weights, rtol=1e-6)


def test_a_far_user_is_unassigned_and_told_why():
    X, _, centres = blobs(300, spread=0.2)
    far = np.vstack([X, centres[1] + 50]).astype(np.float32)
    row = segmenter(X, centres).assign({"users": users(far)}, AS_OF, "1").row(-1, named=True)
    assert row["status"] == "unassigned"
    assert row["segment_id"] is None
    assert row["confidence"] == 0
    assert row["second_segment_id"] is not None
    assert "floor" in row["reasons"][0]
    assert row["distance"] > 50


def test_noise_of_the_clusterer_stays_unassigned():
    X, _, centres = blobs(300, spread=0.2)
    ours = segmenter(X, centres, radius=2.0)
    row = ours.assign({"users": users((centres[:1] + 1.5).astype(np.float32))}, AS_OF, "1").row(0, named=True)
    assert row["segment_id"] is None
    assert row["second_segment_id"] is None
    assert "dense" in row["reasons"][0]


def test_a_vector_that_is_not_finite_is_one_users_trouble():
    X, _, centres = blobs(20)
    ours = segmenter(X, centres)
    X[3, 1], X[5, 0] = np.nan, np.inf
    decision = ours.assign_vectors(X)
    assert np.flatnonzero(decision.labels < 0).tolist() == [3, 5]
    assert decision.why[3] == "the vector is not finite"


def test_low_confidence_is_unassigned_when_asked():
    X, _, centres = blobs(300)
    middle = ((centres[0] + centres[1]) / 2)[None].astype(np.float32)
    wide = CalibrationConfig(floor_slack=100, min_confidence=0.6)
    decision = segmenter(X, centres, config=wide).assign_vectors(np.vstack([middle, centres.astype(np.float32)]))
    assert decision.labels.tolist() == [-1, 0, 1, 2]
    assert "confidence" in decision.why[0]


def test_no_users_no_tables_and_wrong_widths():
    X, _, centres = blobs(20)
    ours = segmenter(X, centres)
    assert ours.assign({}, AS_OF, "1").shape == (0, len(tables.ASSIGNMENTS.names))
    assert ours.assign({"users": users(X[:0])}, AS_OF, "1").height == 0
    with pytest.raises(DataError, match="is needed"):
        ours.assign_vectors(X[:, :2])
    broken = dataclasses.replace(ours, blocks=(frame_block("plain", ["x0", "x1"], width=4),))
    with pytest.raises(DataError, match="2 columns where 4"):
        broken.assign({"users": users(X)}, AS_OF, "1")


def test_blocks_of_different_users_are_joined_not_misaligned():
    X, _, centres = blobs(20)
    ours = segmenter(X, centres)
    other = frame_block("late", ["x0"])

    def half(bucket, as_of):
        rows = other.build(bucket, as_of)
        return type(rows)(rows.users[10:], rows.values[10:])

    ours = dataclasses.replace(ours, blocks=(*ours.blocks, dataclasses.replace(other, build=half)))
    _, blocks = ours.features({"users": users(X)}, AS_OF)
    assert np.isnan(blocks["late"][:10]).all()
    assert (blocks["late"][10:, 0] == X[10:, 0]).all()


NAMES = [f"plain.{letter}" for letter in "abcde"]


def test_reasons_name_the_features_that_were_planted():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    X = rng.normal(size=(400, 5))
    X[:, 2] += np.where(labels == 1, 6.0, 0.0)
    X[7] = np.nan
    reasons = reasoning.fit([(X[:150], labels[:150]), (X[150:], labels[150:])], NAMES, 2)
    told = reasons.tell(X, labels, 2)
    assert told[7] == []
    named = [words[0].split(":")[0] for row, words in enumerate(told) if row != 7 and words]
    assert len(named) > 380
    assert np.mean([name == "c" for name in named]) > 0.98
    high = [words[0] for row, words in enumerate(told) if labels[row] == 1 and words and words[0].startswith("c")]
    assert len(high) > 150
    assert {words.split(" (")[0] for words in high} <= {"c: a little higher", "c: higher", "c: much higher"}
    assert reasons.tell(X[:1], np.array([-1]), 3) == [[]]
    once = reasoning.fit([(X, labels)], NAMES, 2)
    np.testing.assert_allclose(once.lean, reasons.lean, atol=1e-12)
    np.testing.assert_allclose(once.mean, np.nanmean(X, axis=0))
    np.testing.assert_allclose(once.scale, np.nanstd(X, axis=0))


def test_reasons_are_words_and_a_coordinate_is_none():
    labels = np.array([0] * 50 + [1] * 50)
    X = np.stack([labels * 2.0, labels * 2.0, labels * 1.0], axis=1) + np.linspace(0, 0.1, 100)[:, None]
    columns = ["interest.affinity_toys", "collaborative.collaborative_03", "attributes.town=Ulm"]
    told = {
        language: reasoning.from_state(reasoning.fit([(X, labels)], columns, 2, language).to_state(), 2).tell(
            X, labels, 3
        )
        for language in ("en", "zh")
    }
    assert set(told["en"][99]) == {
        "affinity to toys: higher (segment: higher than usual)",
        "town: Ulm: yes (segment: more often than usual)",
    }
    assert told["en"][0][0].split("(")[0] in ("affinity to toys: lower ", "town: Ulm: no ")
    assert "对toys的偏好：偏高（所在分群：偏高）" in told["zh"][99]
