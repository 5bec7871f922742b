import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from schemas.artifacts import State
from schemas.config import CalibrationConfig
from schemas.errors import DataError
from tasks.segments import bundle as bundles
from tasks.segments import ladder as ladders
from tasks.segments._decision import Decision, climb
from tasks.segments.ladder import Ladder
from tests.helpers.segmenters import bundle

K = 3


def people(n=400, seed=0):
    """Users whose attributes tell their segment most of the time; a tenth of the values is unknown."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, K, n)
    traits = np.eye(K)[labels] * 3 + rng.normal(size=(n, K))
    traits[rng.random(traits.shape) < 0.1] = np.nan
    return {"attributes": traits.astype(np.float32), "noise": rng.normal(size=(n, 2)).astype(np.float32)}, labels


def made(accuracy, events=(0, 1, 3)):
    blocks, labels = people()
    fitted = ladders.classifier(blocks, ["attributes"], labels, K)
    prior = np.array([0.2, 0.5, 0.3])
    return Ladder(
        events, ("full", "attributes", "prior"), np.array(accuracy, float), prior, {"attributes": fitted}, 400
    )


LADDER = made([[0.1, 0.5, 0.9], [0.6, 0.6, 0.6], [0.3, 0.3, 0.3]])


def decision(n):
    ones = np.ones(n, np.int64)
    return Decision(ones * 2, ones * 2, ones * 0, np.ones(n), np.full(n, 0.8), {})


def test_the_classifier_is_scikit_learns_and_row_by_row_the_same():
    from sklearn.linear_model import LogisticRegression

    blocks, labels = people()
    ours = ladders.classifier(blocks, ["attributes", "noise"], labels, K)
    x = np.concatenate([blocks["attributes"], blocks["noise"]], axis=1).astype(float)
    z = np.nan_to_num((x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0))
    theirs = LogisticRegression(max_iter=300).fit(z, labels)
    np.testing.assert_allclose(ours.scores(blocks), theirs.decision_function(z), atol=1e-6)
    alone = np.vstack([ours.scores({n: b[i : i + 1] for n, b in blocks.items()}) for i in range(400)])
    assert alone.tobytes() == ours.scores(blocks).tobytes()


@pytest.mark.parametrize("there", [[0], [0, 2], [0, 1, 2]])
def test_segments_that_nobody_here_is_in_are_never_named(there):
    blocks, labels = people()
    labels = np.where(np.isin(labels, there), labels, -1)
    named = ladders.classifier(blocks, ["attributes"], labels, K).scores(blocks).argmax(axis=1)
    assert set(named) == set(there)
    assert (named == labels)[labels >= 0].mean() > 0.8


def test_held_out_accuracy_is_honest():
    chance = np.random.default_rng(1).integers(0, K, 200)
    wide = {"noise": np.random.default_rng(2).normal(size=(200, 150)).astype(np.float32)}
    memory = (ladders.classifier(wide, ["noise"], chance, K).scores(wide).argmax(axis=1) == chance).mean()
    first, second = ladders.held_out([wide, wide], ["noise"], chance, K, 5, np.random.default_rng(0))
    honest = (first == chance).mean()
    assert (first == second).all()
    assert memory > 0.9
    assert honest < 0.5


def test_accuracy_is_counted_among_users_with_a_segment():
    truth = np.array([0, 1, 2, -1])
    table = ladders.measure_ladder(
        truth, {"a": lambda e: np.array([0, 1, 0, 0]), "b": lambda e: truth * (e > 0)}, (0, 1)
    )
    np.testing.assert_allclose(table, [[2 / 3, 2 / 3], [1 / 3, 1]])
    with pytest.raises(DataError, match="no user"):
        ladders.measure_ladder(np.array([-1]), {}, (0,))


def test_each_user_gets_the_rung_that_was_right_most_often():
    blocks, _ = people(7)
    blocks["attributes"][:] = 1.0
    blocks["attributes"][6] = np.nan  # nothing known: the classifier is not open
    rung, accuracy = LADDER.choose(np.array([0, 1, 2, 3, 4, 99, 0]), blocks, np.full(7, True))
    assert rung.tolist() == [1, 1, 1, 0, 0, 0, 2]
    assert accuracy.tolist() == [0.6, 0.6, 0.6, 0.9, 1.0, 1.0, 0.3]


def test_only_a_clear_difference_takes_users_off_the_fullest_rung():
    blocks, _ = people(2)
    counts = np.array([0, 1])
    near = made([[0.55, 0.5, 0.9], [0.6, 0.6, 0.6], [0.3, 0.3, 0.3]])  # of 400 users: 1.4 and 2.9 standard errors
    assert near.choose(counts, blocks, np.full(2, True))[0].tolist() == [0, 1]
    assert replace(near, users=34).choose(counts, blocks, np.full(2, True))[0].tolist() == [0, 0]


def test_the_nearest_segment_is_a_rung_of_its_own():
    """Newcomers beyond every floor: the nearest segment is right for nine in ten, the commonest for three."""
    accuracy = np.array([[0.0, 0.1, 0.9], [0.0, 0.9, 0.9], [0.3, 0.3, 0.3]])
    steps = ladders.Ladder((0, 1, 3), ("full", "nearest", "prior"), accuracy, np.array([0.2, 0.5, 0.3]), {}, 400)
    far = decision(3)._replace(labels=np.full(3, -1), nearest=np.array([2, 0, -1]), confidence=np.zeros(3))
    out = climb(steps, far, {"b": np.zeros((3, 1))}, np.array([1, 2, 1]), CalibrationConfig())
    assert out.labels.tolist() == [2, 0, 1]
    assert out.confidence.tolist() == [0.9, 0.9, 0.3]
    assert out.distance[:2].tolist() == far.distance[:2].tolist()
    assert out.why[0] == "1 event: the nearest segment, right for 90% of such users"
    assert out.why[2].startswith("1 event: the commonest segment")


def test_a_lower_rung_says_what_it_is_and_how_good():
    blocks, _ = people(3)
    blocks["attributes"][:] = [[9, 0, 0], [np.nan] * 3, [0, 0, 9]]
    out = climb(LADDER, decision(3), blocks, np.array([1, 0, 50]), CalibrationConfig())
    assert out.labels.tolist() == [0, 1, 2]
    assert out.confidence.tolist() == [0.6, 0.3, 0.8]
    assert np.isnan(out.distance).tolist() == [True, True, False]
    assert out.why[0] == "1 event: from attributes, right for 60% of such users"
    assert out.why[1] == "0 events: the commonest segment, right for 30% of such users"
    assert out.second.tolist() == [out.second[0], 2, 0]
    assert out.second[0] in (1, 2)
    picky = climb(LADDER, decision(3), blocks, np.array([1, 0, 50]), CalibrationConfig(min_confidence=0.5))
    assert picky.labels.tolist() == [0, -1, 2]
    assert picky.confidence[1] == 0


def test_a_thin_users_confidence_is_not_above_what_was_measured():
    blocks, _ = people(2)
    sure = decision(2)._replace(confidence=np.array([0.99, 0.99]))
    out = climb(LADDER, sure, blocks, np.array([3, 4]), CalibrationConfig())
    assert out.confidence.tolist() == [0.9, 0.99]


def test_company_changes_nothing():
    blocks, _ = people(60)
    counts = np.arange(60) % 6
    whole = climb(LADDER, decision(60), blocks, counts, CalibrationConfig())
    for i in range(0, 60, 7):
        one = {n: b[i : i + 1] for n, b in blocks.items()}
        alone = climb(LADDER, decision(1), one, counts[i : i + 1], CalibrationConfig())
        assert [float(part[0]) for part in alone[:3]] == [float(part[i]) for part in whole[:3]]
        assert alone.confidence.tobytes() == whole.confidence[i : i + 1].tobytes()


def test_the_ladder_survives_the_disk(tmp_path):
    bundles.save(bundle(**{bundles.LADDER: LADDER.to_state()}), tmp_path / "b")
    back = ladders.from_state(bundles.load(tmp_path / "b").states[bundles.LADDER], K)
    for name, value in dataclasses.asdict(LADDER).items():
        np.testing.assert_equal(dataclasses.asdict(back)[name], value)
    blocks, _ = people(50)
    ours, theirs = (climb(one, decision(50), blocks, np.arange(50) % 5, CalibrationConfig()) for one in (LADDER, back))
    np.testing.assert_equal(theirs._asdict(), ours._asdict())
    assert ours.why  # a lower rung than the fullest had its say


@pytest.mark.parametrize(
    ("k", "arrays", "meta"),
    [
        (4, {}, {}),
        (K, {"accuracy": np.zeros((2, 3))}, {}),
        (K, {"accuracy": np.full((3, 3), np.nan)}, {}),
        (K, {"attributes.weights": np.zeros((9, K))}, {}),
        (K, {}, {"events": [3, 1, 0]}),
        (K, {}, {"reads": {"ghost": ["x"]}}),
    ],
)
def test_a_ladder_that_does_not_fit_is_refused(k, arrays, meta):
    state = LADDER.to_state()
    with pytest.raises(DataError, match="ladder"):
        ladders.from_state(State({**state.arrays, **arrays}, {**state.meta, **meta}), k)
