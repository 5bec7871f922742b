"""Supervised segmentation: logistic regression, linear SVM, decision tree or random forest on known labels.

Kernel SVMs are not offered: what is fitted is kept as arrays and scored by our own code, one row like a thousand.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.errors import DataError
from schemas.evaluation import Assignment
from tasks.clusterers._common import check_rows, in_memory, outlier_warnings
from tasks.clusterers._distances import Space, distances_to, unit_rows
from tasks.clusterers._exemplars import two_best
from tasks.clusterers._labels import calm, class_report, classes_of
from tasks.clusterers._models import linear_arrays, linear_scores, tree_arrays, tree_scores
from tasks.numerics.groups import means

if TYPE_CHECKING:
    import scipy.sparse as sp


class Config(Section):
    """Parameters of a classifier."""

    kind: Literal["classifier"] = "classifier"
    column: str = Field("", description="users column with the known labels; users without one are assigned too")
    space: Space = Field("euclidean", description="space in which distances to the class means are told")
    algorithm: Literal["logistic", "svm", "tree", "forest"] = Field("logistic", description="svm is linear")
    strength: float = Field(1.0, gt=0, description="logistic, svm: inverse of the regularisation (C)")
    depth: int | None = Field(None, ge=1, description="tree, forest: levels at most; none: no limit")
    min_leaf: int = Field(5, ge=1, description="tree, forest: users of a leaf at least")
    trees: int = Field(100, ge=1, description="forest: trees")
    balanced: bool = Field(False, description="weigh classes alike, whatever their sizes")
    folds: int = Field(5, ge=2, description="folds of the cross-validation")


@dataclass
class Classified:
    """A fitted classifier; labels are the integers it was taught, or places in the sorted classes.

    Attributes:
        model: arrays of the model.
        codes: (c,) int32 label of each class.
        centroids: (c, d) float64 class means, for distances.
        space: the space of distances.
        labels: (n,) int32 of the rows it was fitted on, as predicted; empty after loading.
        extras: figures of the fit.
    """

    model: dict[str, np.ndarray]
    codes: np.ndarray
    centroids: np.ndarray
    space: Space
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    extras: dict[str, Any] = field(default_factory=dict)

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Scores (n, c) float64 of the classes: planes of a linear model, class shares of trees."""
        X = check_rows(X, self.centroids.shape[1])
        if "roots" in self.model:
            return tree_scores(X, self.model)
        return linear_scores(X, self.model)

    def assign(self, X: np.ndarray) -> Assignment:
        """The class of the highest score of each row of X (n, d) and the next; distance is to the class mean."""
        best, _, second = two_best(-self.scores(X))
        distance = distances_to(check_rows(X), self.centroids, best, self.space)
        return Assignment(self.codes[best], distance, np.where(second >= 0, self.codes[second], -1).astype(np.int32))

    def arrays(self) -> dict[str, np.ndarray]:
        """The model, the labels of its classes and their means."""
        return {**self.model, "codes": self.codes, "centroids": self.centroids}


def fit(
    X: Any,
    config: Config,
    rng: np.random.Generator,
    *,
    init: np.ndarray | None = None,
    y: np.ndarray | None = None,
    graph: "sp.spmatrix | None" = None,
) -> Classified:
    """Fit on the labelled rows of X (n, d) float32 (a Dask array is brought into memory).

    Args:
        X: rows.
        config: parameters.
        rng: seeds the trees and the folds.
        init: not used.
        y: (n,) labels: integers (−1 unknown), or text (empty, None or NaN unknown).
        graph: not used.

    Returns:
        Classified; extras `classes` (values of y behind the labels), `report` (accuracy, precision, recall and F1,
        macro and per class, by cross-validation), `warnings`.

    Raises:
        DataError: no labels, labels of another length, fewer than two classes, or values that are not finite.
    """
    X = check_rows(in_memory(X))
    if y is None or len(y) != len(X):
        raise DataError(f"the classifier needs a label for each of {len(X)} users: give a label column")
    known, place, classes, codes = classes_of(np.asarray(y))
    seed = int(rng.integers(2**31))
    taught, cut = calm(X[known])
    report, warnings = class_report(_estimator(config, seed), taught, place, classes, config.folds, seed)
    estimator = _estimator(config, seed).fit(taught, place)
    centres = means(unit_rows(taught) if config.space == "cosine" else taught, place, len(classes))
    fitted = Classified(_model_arrays(estimator, config), codes, centres, config.space)
    fitted.labels = fitted.assign(X).labels
    warnings += cut + outlier_warnings(X, fitted.labels)
    fitted.extras = {"classes": classes.tolist(), "report": report, "warnings": warnings}
    return fitted


def _estimator(config: Config, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC
    from sklearn.tree import DecisionTreeClassifier

    weight = "balanced" if config.balanced else None
    grow = {
        "max_depth": config.depth,
        "min_samples_leaf": config.min_leaf,
        "random_state": seed,
        "class_weight": weight,
    }
    if config.algorithm == "tree":
        return DecisionTreeClassifier(**grow)
    if config.algorithm == "forest":
        return RandomForestClassifier(config.trees, **grow)
    if config.algorithm == "svm":
        return make_pipeline(StandardScaler(), LinearSVC(C=config.strength, class_weight=weight, random_state=seed))
    return make_pipeline(StandardScaler(), LogisticRegression(C=config.strength, class_weight=weight, max_iter=1000))


def _model_arrays(estimator: Any, config: Config) -> dict[str, np.ndarray]:
    if config.algorithm in ("logistic", "svm"):
        return linear_arrays(estimator[0], estimator[-1])
    return tree_arrays([estimator] if config.algorithm == "tree" else estimator.estimators_)


def from_arrays(arrays: dict[str, np.ndarray], config: Config) -> Classified:
    """The fitted clusterer again, from `Classified.arrays()`."""
    model = {key: values for key, values in arrays.items() if key not in ("codes", "centroids")}
    return Classified(model, arrays["codes"], arrays["centroids"], config.space)
