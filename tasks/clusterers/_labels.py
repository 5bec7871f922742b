"""Known labels: which rows have one, what the classes are, and how well a classifier finds them."""

from typing import Any

import numpy as np

from schemas.errors import DataError


def classes_of(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sort labels into classes.

    Args:
        y: (n,) integers with −1 unknown, or other values, of which None, NaN and empty text are unknown.

    Returns:
        known (m,) rows, their place (m,) among the classes, classes (c,) sorted, and codes (c,) int32: the integers
        themselves where they fit, else the places.

    Raises:
        DataError: fewer than two classes.
    """
    whole = np.issubdtype(y.dtype, np.integer)
    if not whole and np.issubdtype(y.dtype, np.number):
        number = y.astype(np.float64)
        known = np.flatnonzero(np.isfinite(number) & (number != -1))
        whole = bool((number[known] == np.rint(number[known])).all())
        y = np.where(np.isfinite(number), number, -1).astype(np.int64) if whole else number.astype(str)
    elif whole:
        known = np.flatnonzero(y >= 0)
    else:
        known = np.flatnonzero([v is not None and (v == v) is True and str(v) != "" for v in y.tolist()])
        y = np.array([str(v) for v in y.tolist()])
    classes, place = np.unique(y[known], return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            f"the labels of {len(known)} users make {len(classes)} class(es): a classifier needs two or more"
        )
    codes = classes if whole and classes[-1] <= np.iinfo(np.int32).max else np.arange(len(classes))
    return known, place, classes, codes.astype(np.int32)


def calm(X: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """X (n, d) without extreme values, and a warning where there were any: one could outweigh all others in a fit.

    Extreme: beyond a column's median by 50 times the distance within which 99 % of its values are; it is cut to that
    distance.
    """
    middle = np.median(X, axis=0)
    usual = np.quantile(np.abs(X - middle), 0.99, axis=0).astype(X.dtype)
    extreme = (np.abs(X - middle) > 50 * usual) & (usual > 0)  # 0: the column is constant but for a few
    rows, columns = np.nonzero(extreme)
    if not len(rows):
        return X, []
    told = f"{len(rows)} extreme value(s) were cut for the fit, such as {X[rows[0], columns[0]]:.3g}"
    calmed = np.where(extreme, np.clip(X, middle - usual, middle + usual), X)
    return calmed, [f"{told} in column {columns[0]}; clip or set aside such users"]


def class_report(
    estimator: Any, X: np.ndarray, place: np.ndarray, classes: np.ndarray, folds: int, seed: int
) -> tuple[dict[str, Any], list[str]]:
    """Accuracy, precision, recall and F1, macro and per class, of cross-validated predictions; and warnings."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rarest = int(np.bincount(place).min())
    if rarest < 2:
        return {}, ["a class has one user only: there is no cross-validation"]
    cut = StratifiedKFold(min(folds, rarest), shuffle=True, random_state=seed)
    predicted = cross_val_predict(estimator, X, place, cv=cut)
    values = precision_recall_fscore_support(place, predicted, labels=np.arange(len(classes)), zero_division=0)
    per_class = {
        str(value): {"precision": float(p), "recall": float(r), "f1": float(f), "users": int(users)}
        for value, p, r, f, users in zip(classes, *values, strict=True)
    }
    macro = {key: float(np.mean([row[key] for row in per_class.values()])) for key in ("precision", "recall", "f1")}
    report = {"accuracy": float(accuracy_score(place, predicted)), "macro": macro, "per_class": per_class}
    return report | {"folds": cut.get_n_splits(), "users": len(place)}, []
