"""The classifier keeps arrays alone and predicts what scikit-learn predicts."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from schemas.errors import DataError
from tasks.clusterers import classifier


def draw(n=600, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    return (1.2 * rng.normal(size=(classes, 5))[y] + rng.normal(size=(n, 5))).astype(np.float32), y


@pytest.mark.parametrize("algorithm", ["logistic", "svm", "tree", "forest"])
@pytest.mark.parametrize("classes", [2, 3])
def test_predicts_what_scikit_learn_predicts(algorithm, classes):
    X, y = draw(classes=classes)
    config = classifier.Config(algorithm=algorithm, trees=20)
    fitted = classifier.fit(X, config, np.random.default_rng(7), y=y)
    seed = int(np.random.default_rng(7).integers(2**31))
    theirs = classifier._estimator(config, seed).fit(X, y)
    news = draw(seed=1, classes=classes)[0] * 1.5
    assert np.array_equal(fitted.assign(news).labels, theirs.predict(news))
    again = classifier.from_arrays(fitted.arrays(), config)
    assert np.array_equal(again.scores(news), fitted.scores(news))
    if algorithm in ("tree", "forest"):
        assert fitted.scores(news) == pytest.approx(theirs.predict_proba(news), abs=1e-12)


def test_the_report_is_cross_validated():
    X, y = draw()
    report = classifier.fit(X, classifier.Config(algorithm="tree", min_leaf=1), np.random.default_rng(0), y=y).extras[
        "report"
    ]
    noise = np.random.default_rng(3).integers(3, size=len(y))
    chance = classifier.fit(X, classifier.Config(algorithm="tree", min_leaf=1), np.random.default_rng(0), y=noise)
    assert 0.6 < report["accuracy"] < 1
    assert chance.extras["report"]["accuracy"] < 0.45  # though the tree knows every row it was taught
    assert accuracy_score(noise, chance.labels) == 1
    assert set(report["per_class"]) == {"0", "1", "2"}
    assert report["macro"]["f1"] == pytest.approx(np.mean([c["f1"] for c in report["per_class"].values()]))


def test_integer_labels_stay_themselves_and_unknown_rows_are_assigned():
    X, y = draw()
    y = y * 10 + 5
    y[::4] = -1
    fitted = classifier.fit(X, classifier.Config(), np.random.default_rng(0), y=y)
    assert set(fitted.labels) == {5, 15, 25}
    assert fitted.extras["report"]["users"] == (y >= 0).sum()


def test_text_labels_become_places_in_the_sorted_classes():
    X, y = draw()
    words = np.array(["red", "blue", "green"], dtype=object)[y]
    words[:5] = [None, "", float("nan"), None, ""]
    fitted = classifier.fit(X, classifier.Config(), np.random.default_rng(0), y=words)
    assert fitted.extras["classes"] == ["blue", "green", "red"]
    assert (np.array(fitted.extras["classes"])[fitted.labels[5:]] == words[5:]).mean() > 0.6


def test_labels_that_cannot_teach_are_refused():
    X, y = draw()
    for bad, words in (
        (None, "label"),
        (y[:-1], "label"),
        (np.zeros(len(y)), "two or more"),
        (y * 0 - 1, "two or more"),
    ):
        with pytest.raises(DataError, match=words):
            classifier.fit(X, classifier.Config(), np.random.default_rng(0), y=bad)


def test_a_class_of_one_is_told():
    X, y = draw()
    y[0] = 3
    fitted = classifier.fit(X, classifier.Config(), np.random.default_rng(0), y=y)
    assert fitted.extras["report"] == {}
    assert "one user only" in fitted.extras["warnings"][0]


@pytest.mark.parametrize("algorithm", ["logistic", "svm", "tree", "forest"])
def test_one_extreme_user_spoils_nobody_else_and_is_told(algorithm):
    X, y = draw()
    config = classifier.Config(algorithm=algorithm, trees=20)
    plain = classifier.fit(X, config, np.random.default_rng(0), y=y)
    X = X.copy()
    X[11, 2] += 1e6
    fitted = classifier.fit(X, config, np.random.default_rng(0), y=y)
    assert (fitted.labels == plain.labels).mean() > 0.98
    assert np.abs(fitted.centroids - plain.centroids).max() < 5
    assert any("column 2" in line for line in fitted.extras["warnings"])


def test_a_rare_value_is_not_taken_for_an_extreme_one():
    X, y = draw()
    X[:, 4] = 0
    X[::200, 4] = 1
    assert classifier.fit(X, classifier.Config(), np.random.default_rng(0), y=y).extras["warnings"] == []


def test_numbers_too_large_for_a_label_become_places_and_nobody_knows_a_missing_one():
    X, y = draw(classes=2)
    large = np.array([7, 5_000_000_000])[y]
    fitted = classifier.fit(X, classifier.Config(), np.random.default_rng(0), y=large)
    assert fitted.extras["classes"] == [7, 5_000_000_000]
    assert set(fitted.labels.tolist()) == {0, 1}
    text = pd.Series(np.array(["a", "b"])[y], dtype="string")
    text[:3] = pd.NA
    assert classifier.fit(X, classifier.Config(), np.random.default_rng(0), y=text).extras["classes"] == ["a", "b"]
