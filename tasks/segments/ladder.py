"""What a user with few events gets: the rung that was measured to be right most often at that many events.

The rungs, from the fullest: the segmenter itself, which leaves out users who are far from every segment; the nearest
segment, however far; a classifier of attributes and first texts; a classifier of attributes; the prior, which is the
commonest segment. Each is measured by cutting known users down to their first 0, 1, 3, … events, as they were known
then, and asking how often it names the segment that their full history gave them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.artifacts import State
from schemas.errors import DataError
from tasks.segments.reasons import standardise

FULL, NEAREST, PRIOR = "full", "nearest", "prior"


@dataclass(frozen=True)
class Classifier:
    """Multinomial logistic regression on standardised blocks; what is unknown counts as average.

    Attributes:
        blocks: Which blocks it reads, in order.
        mean: (F,) of the training users.
        scale: (F,) standard deviations; 0 where a column says nothing.
        weights: (F + 1, k) float64, the last row the intercepts.
    """

    blocks: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray

    def scores(self, blocks: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n, k) scores before the softmax, summed column by column: one user and many get the same bits."""
        z = standardise(np.concatenate([blocks[name] for name in self.blocks], axis=1), self.mean, self.scale)
        out = np.repeat(self.weights[-1:], len(z), axis=0)
        for column, row in zip(np.ascontiguousarray(z.T), self.weights[:-1], strict=True):
            out += column[:, None] * row
        return out

    def known(self, blocks: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) whether anything at all is known of a user in these blocks."""
        return np.any([np.isfinite(blocks[name]).any(axis=1) for name in self.blocks], axis=0)


@dataclass(frozen=True)
class Ladder:
    """The rungs with their measured accuracy.

    Attributes:
        events: (m,) rising numbers of events at which accuracy was measured.
        rungs: Names, from the fullest to the prior.
        accuracy: (r, m) share of users whose full-history segment the rung names.
        prior: (k,) share of users of each segment.
        classifiers: Rung -> classifier, for those that are one.
        users: How many users it was measured on.
    """

    events: tuple[int, ...]
    rungs: tuple[str, ...]
    accuracy: np.ndarray
    prior: np.ndarray
    classifiers: Mapping[str, Classifier]
    users: int

    def choose(
        self, counts: np.ndarray, blocks: Mapping[str, np.ndarray], reached: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The rung of each user and its measured accuracy.

        The fullest, unless another one was right clearly more often: by more than 1.96 standard errors of the
        difference of two shares of `users`.

        Args:
            counts: (n,) events of each user. Users with more than were measured get the fullest rung.
            blocks: Their blocks; a rung of whose blocks nothing is known is not open to a user.
            reached: (n,) whether their vectors name a nearest segment at all.

        Returns:
            (n,) number of the rung, and (n,) its accuracy at that many events; 1 beyond the measured range.
        """
        column = np.searchsorted(self.events, counts, side="right") - 1
        table = self.accuracy.T[np.maximum(column, 0)].copy()
        for at, name in enumerate(self.rungs):
            if name in self.classifiers:
                table[~self.classifiers[name].known(blocks), at] = -1.0
            elif name == NEAREST:
                table[~reached, at] = -1.0
        best, rows = table.argmax(axis=1), np.arange(len(counts))
        full, top = table[:, 0], table[rows, best]
        error = np.sqrt((full * (1 - full) + top * (1 - top)) / max(self.users, 1))
        best = np.where(top - full > 1.96 * error, best, 0)
        rich = (counts > self.events[-1]) | (column < 0)
        best = np.where(rich, 0, best)
        return best, np.where(rich, 1.0, table[rows, best])

    def labels(self, rung: int, blocks: Mapping[str, np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
        """(n,) first and second labels that a classifier or the prior gives; second −1 with a single segment."""
        name = self.rungs[rung]
        scores = self.classifiers[name].scores(blocks) if name in self.classifiers else np.tile(self.prior, (n, 1))
        order = np.argsort(-scores, axis=1, kind="stable")
        return order[:, 0], order[:, 1] if order.shape[1] > 1 else np.full(n, -1)

    def to_state(self) -> State:
        """As arrays and facts, for a bundle."""
        arrays = {"accuracy": self.accuracy, "prior": self.prior}
        for name, one in self.classifiers.items():
            arrays |= {f"{name}.mean": one.mean, f"{name}.scale": one.scale, f"{name}.weights": one.weights}
        reads = {name: list(one.blocks) for name, one in self.classifiers.items()}
        facts = {"events": list(self.events), "rungs": list(self.rungs), "reads": reads, "users": self.users}
        return State(arrays, facts)


def from_state(state: State, k: int) -> Ladder:
    """The ladder in a bundle's state.

    Raises:
        DataError: arrays or facts are missing, or do not fit k segments.
    """
    try:
        meta, arrays = state.meta, state.arrays
        classifiers = {
            name: Classifier(tuple(blocks), *(arrays[f"{name}.{part}"] for part in ("mean", "scale", "weights")))
            for name, blocks in meta["reads"].items()
        }
        ladder = Ladder(
            tuple(meta["events"]), tuple(meta["rungs"]), arrays["accuracy"], arrays["prior"], classifiers, meta["users"]
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"ladder: {error} is missing; the bundle is damaged") from error
    shapes = [
        one.weights.shape == (len(one.mean) + 1, k) and one.mean.shape == one.scale.shape
        for one in classifiers.values()
    ]
    fits = ladder.accuracy.shape == (len(ladder.rungs), len(ladder.events)) and ladder.prior.shape == (k,)
    if (
        not fits
        or not all(shapes)
        or not np.isfinite(ladder.accuracy).all()
        or list(ladder.events) != sorted(set(ladder.events))
    ):
        raise DataError(f"ladder: arrays do not fit {k} segments; the bundle is damaged")
    return ladder


def classifier(blocks: Mapping[str, np.ndarray], names: Sequence[str], labels: np.ndarray, k: int) -> Classifier:
    """Fit a classifier of segments on some blocks.

    Args:
        blocks: Name -> (n, F_b), NaN where unknown.
        names: The blocks to read.
        labels: (n,) segments by full history; −1 is left out.
        k: Number of segments; one that has no user here is never named.
    """
    from sklearn.linear_model import LogisticRegression

    x = np.concatenate([blocks[name] for name in names], axis=1).astype(np.float64)
    known = np.isfinite(x)
    n = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, x, 0.0).sum(axis=0) / n
    spread = np.sqrt((np.where(known, x - mean, 0.0) ** 2).sum(axis=0) / n)
    scale = np.where(spread > 1e-9 * np.maximum(np.abs(mean), 1e-6), spread, 0.0)
    rows = labels >= 0
    there = np.unique(labels[rows])
    weights = np.zeros((x.shape[1] + 1, k))
    weights[-1] = -1e3  # a segment that nobody here is in loses against every other
    if len(there) == 1:
        weights[-1, there] = 0.0
    else:
        fitted = LogisticRegression(max_iter=300).fit(standardise(x[rows], mean, scale), labels[rows])
        coefficients, intercepts = _by_class(fitted.coef_, fitted.intercept_)
        weights[:-1, there], weights[-1, there] = coefficients.T, intercepts
    return Classifier(tuple(names), mean, scale, weights)


def _by_class(coefficients: np.ndarray, intercepts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One row for each class; scikit-learn gives a single one for two classes."""
    if len(coefficients) > 1:
        return coefficients, intercepts
    return np.vstack([np.zeros_like(coefficients), coefficients]), np.append(0.0, intercepts)


def held_out(
    views: Sequence[Mapping[str, np.ndarray]],
    names: Sequence[str],
    labels: np.ndarray,
    k: int,
    folds: int,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """(n,) labels for each view of n users, by a classifier that was fitted on all views of the other users.

    Args:
        views: The users' blocks when cut down to so many events, once for each number of events.
        names: The blocks to read.
        labels: (n,) segments by full history.
        k: Number of segments.
        folds: How many groups of users are left out in turn, two at least.
        rng: Draws the groups.
    """
    fold = rng.permutation(len(labels)) % max(2, folds)
    out = [np.full(len(labels), -1, np.int64) for _ in views]
    for number in range(max(2, folds)):
        mine = fold == number
        fitted = from_views([_rows(view, ~mine, names) for view in views], names, labels[~mine], k)
        for named, view in zip(out, views, strict=True):
            named[mine] = fitted.scores(_rows(view, mine, names)).argmax(axis=1)
    return out


def from_views(
    views: Sequence[Mapping[str, np.ndarray]], names: Sequence[str], labels: np.ndarray, k: int
) -> Classifier:
    """A classifier fitted on every view of the users: on users as thin as those it will be asked about."""
    stacked = {name: np.concatenate([view[name] for view in views]) for name in names}
    return classifier(stacked, names, np.tile(labels, len(views)), k)


def _rows(blocks: Mapping[str, np.ndarray], rows: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: blocks[name][rows] for name in names}


def measure_ladder(
    truth: np.ndarray, rungs: Mapping[str, Callable[[int], np.ndarray]], events: Sequence[int]
) -> np.ndarray:
    """(r, m) share of users for whom a rung names the segment of their full history.

    Args:
        truth: (n,) segments by full history; users without one (−1) are left out.
        rungs: Name -> labels (n,) of the same users cut down to so many events; −1 counts as wrong.
        events: (m,) how many events are left.
    """
    known = truth >= 0
    if not known.any():
        raise DataError("ladder: no user has a segment to agree with")
    return np.array([[float((rung(left)[known] == truth[known]).mean()) for left in events] for rung in rungs.values()])
