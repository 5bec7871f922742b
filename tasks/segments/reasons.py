"""Why a user stands in a segment: the features on which user and segment lean the same way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.artifacts import State
from schemas.errors import DataError
from tasks.segments._phrases import opaque
from tasks.segments._words import compared

CAP = 8.0  # standard deviations; beyond, a value says no more than "very"
MIN_PULL = 0.25  # a product of two deviations below this is no reason


@dataclass(frozen=True)
class Reasons:
    """What a value means against all users, and where each segment leans.

    Attributes:
        columns: (F,) names as `family.column`, in the order of the stacked blocks.
        mean: (F,) over all users, missing left out.
        scale: (F,) standard deviation; 0 where a column says nothing.
        lean: (k, F) mean of a segment's members, in standard deviations from the mean of all.
        language: Of what is told.
    """

    columns: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    lean: np.ndarray
    language: str = "en"

    def to_state(self) -> State:
        """As arrays and facts, for a bundle."""
        facts = {"columns": list(self.columns), "language": self.language}
        return State({"mean": self.mean, "scale": self.scale, "lean": self.lean}, facts)

    def tell(self, stacked: np.ndarray, labels: np.ndarray, most: int) -> list[list[str]]:
        """For each of n users at most `most` reasons, strongest first.

        A feature pulls by z_user x lean_segment: large where both are far from the average on the same side. Of one
        that is a coordinate, such as a factor, there is nothing to tell.

        Args:
            stacked: (n, F) blocks side by side, NaN where unknown.
            labels: (n,) labels; −1 gets no reasons.
            most: Reasons per user.
        """
        if not most or not len(self.columns):
            return [[] for _ in labels]
        z = standardise(stacked, self.mean, self.scale)
        lean = self.lean[np.maximum(labels, 0)]
        plain = ~np.array([opaque(name) for name in self.columns])
        pull = np.where((labels[:, None] >= 0) & plain, z * lean, 0.0)
        best = np.argsort(-pull, axis=1, kind="stable")[:, :most]
        return [self._words(z[row], lean[row], pull[row], best[row]) for row in range(len(labels))]

    def _words(self, z: np.ndarray, lean: np.ndarray, pull: np.ndarray, best: np.ndarray) -> list[str]:
        return [compared(self.columns[j], z[j], lean[j], self.language) for j in best if pull[j] >= MIN_PULL]


def standardise(values: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(n, F) deviations from the mean in standard deviations, capped at +-CAP; 0 where unknown or without spread."""
    known = np.isfinite(values) & (scale > 0)
    deviations = np.where(known, np.asarray(values, np.float64) - mean, 0.0)
    return np.clip(deviations / np.where(scale > 0, scale, 1.0), -CAP, CAP)


def fit(
    parts: Iterable[tuple[np.ndarray, np.ndarray]], columns: Sequence[str], k: int, language: str = "en"
) -> Reasons:
    """Means and spreads over all users, and where each segment leans.

    Args:
        parts: Per bucket, (n, F) stacked blocks with NaN where unknown, and (n,) labels.
        columns: (F,) names.
        k: Number of segments.
        language: Of what will be told.
    """
    counts, sums, squares = (np.zeros((k + 1, len(columns))) for _ in range(3))
    for stacked, labels in parts:
        known = np.isfinite(stacked)
        values = np.where(known, np.asarray(stacked, np.float64), 0.0)
        rows = np.where(labels >= 0, labels, k)
        for target, part in ((counts, known.astype(np.float64)), (sums, values), (squares, values**2)):
            np.add.at(target, rows, part)
    n = np.maximum(counts.sum(axis=0), 1.0)
    mean = sums.sum(axis=0) / n
    variance = np.maximum(squares.sum(axis=0) / n - mean**2, 0.0)
    # A spread at the level of rounding is no spread.
    scale = np.where(variance > 1e-12 * np.maximum(mean**2, 1e-12), np.sqrt(variance), 0.0)
    own = sums[:k] / np.maximum(counts[:k], 1.0)
    lean = np.where((counts[:k] > 0) & (scale > 0), (own - mean) / np.where(scale > 0, scale, 1.0), 0.0)
    return Reasons(tuple(columns), mean, scale, np.clip(lean, -CAP, CAP), language)


def from_state(state: State, k: int) -> Reasons:
    """The reasons in a bundle's state.

    Raises:
        DataError: arrays are missing or of other shapes.
    """
    try:
        columns = tuple(state.meta["columns"])
        known, language = state.arrays, state.meta.get("language", "en")
        reasons = Reasons(columns, known["mean"], known["scale"], known["lean"], language)
    except (KeyError, TypeError) as error:
        raise DataError(f"reasons: {error} is missing; the bundle is damaged") from error
    f = len(columns)
    if reasons.mean.shape != (f,) or reasons.scale.shape != (f,) or reasons.lean.shape != (k, f):
        raise DataError(f"reasons: arrays do not fit {k} segments of {f} columns; the bundle is damaged")
    return reasons
