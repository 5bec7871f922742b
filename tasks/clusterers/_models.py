"""Fitted classifiers as plain arrays: scores of linear models and of trees, each row on its own, without pickle."""

from typing import Any

import numpy as np

ROWS = 4096  # rows scored at once


def linear_arrays(scaler: Any, model: Any) -> dict[str, np.ndarray]:
    """Weights (c, d) and offsets (c,) of a linear model behind a StandardScaler, for rows as they come."""
    coefficients = np.atleast_2d(model.coef_).astype(np.float64)
    offsets = np.atleast_1d(model.intercept_).astype(np.float64)
    if len(coefficients) == 1:  # two classes: one plane, seen from both sides
        coefficients, offsets = np.vstack([-coefficients, coefficients]) / 2, np.append(-offsets, offsets) / 2
    weights = coefficients / scaler.scale_
    return {"weights": weights, "offsets": offsets - weights @ scaler.mean_}


def linear_scores(X: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Scores (n, c) float64: w · x + b, summed row by row."""
    scores = np.empty((len(X), len(arrays["weights"])))
    for start in range(0, len(X), ROWS):
        rows = X[start : start + ROWS].astype(np.float64)
        for j, (weight, offset) in enumerate(zip(arrays["weights"], arrays["offsets"], strict=True)):
            scores[start : start + ROWS, j] = (rows * weight).sum(axis=1) + offset
    return scores


def tree_arrays(trees: list[Any]) -> dict[str, np.ndarray]:
    """The nodes of scikit-learn's trees one after another; children count from the first node of all, leaves are −1."""
    sizes = [tree.tree_.node_count for tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    left: list[np.ndarray] = []
    right: list[np.ndarray] = []
    for tree, root in zip(trees, roots, strict=True):
        for side, children in ((left, tree.tree_.children_left), (right, tree.tree_.children_right)):
            side.append(np.where(children >= 0, children + root, -1))
    shares = np.concatenate([tree.tree_.value[:, 0, :] for tree in trees])
    return {
        "roots": roots.astype(np.int64),
        "left": np.concatenate(left).astype(np.int64),
        "right": np.concatenate(right).astype(np.int64),
        "feature": np.concatenate([tree.tree_.feature for tree in trees]).astype(np.int64),
        "threshold": np.concatenate([tree.tree_.threshold for tree in trees]),
        "shares": shares / shares.sum(axis=1, keepdims=True),
    }


def tree_scores(X: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Mean class shares (n, c) float64 of the leaves that each row of X (n, d) float32 falls into."""
    scores = np.zeros((len(X), arrays["shares"].shape[1]))
    for root in arrays["roots"]:
        node = np.full(len(X), root)
        inner = np.flatnonzero(arrays["left"][node] >= 0)
        while len(inner):
            at = node[inner]
            goes_left = X[inner, arrays["feature"][at]] <= arrays["threshold"][at]
            node[inner] = np.where(goes_left, arrays["left"][at], arrays["right"][at])
            inner = inner[arrays["left"][node[inner]] >= 0]
        scores += arrays["shares"][node]
    return scores / len(arrays["roots"])
