"""A fitted recommender: scores of all items for each user, of which the best that are new to the user are recommended.

A recommender says what it learned in `scores`, and for whom in `interactions` and `labels`; `of` gives the same
knowledge for other histories, such as those of users who came after the fit. So training, batch and online recommend by
one code.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy
from typing import TYPE_CHECKING, Self

import numpy as np

from schemas.errors import DataError
from schemas.interactions import Interactions

if TYPE_CHECKING:
    import scipy.sparse as sp

_CHUNK_VALUES = 8_000_000  # scores in one chunk of users (64 MB)


class Fitted(ABC):
    """Base of all fitted recommenders.

    Attributes:
        interactions: Histories of n users; what is stored was seen.
        labels: (n,) int64 segments, −1 for none.
    """

    def __init__(self, interactions: Interactions, assignments: np.ndarray) -> None:
        """Raises DataError where there is not one label per user."""
        self.interactions, self.labels = interactions, check(interactions, assignments)

    @abstractmethod
    def scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) float64 scores for (m,) row numbers; NaN or −inf: not recommended to this user."""

    def of(self, interactions: Interactions, assignments: np.ndarray) -> Self:
        """What was learned, for other histories over the same items.

        Args:
            interactions: Histories of m users.
            assignments: (m,) segments of theirs.
        """
        if interactions.shape[1] != self.interactions.shape[1]:
            raise DataError(f"recommender: fitted on {self.interactions.shape[1]} items, not {interactions.shape[1]}")
        other = copy(self)
        Fitted.__init__(other, interactions, assignments)
        return other

    def recommend(self, users: np.ndarray, n: int, exclude_seen: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Best items of each user; equal scores go by item number.

        Args:
            users: (m,) row numbers of `interactions`.
            n: Items wanted.
            exclude_seen: Leave out what the user has interacted with.

        Returns:
            (m, n) int64 column numbers, best first, −1 where nothing is left; (m, n) float64 scores, NaN there.
        """
        users = np.asarray(users, np.int64)
        chosen, values = np.full((len(users), n), -1), np.full((len(users), n), np.nan)
        for at, part in self._chunks(users):
            scores = np.array(self.scores(part), np.float64)  # a copy, to write into
            if exclude_seen:
                seen = self.interactions.counts[part]
                scores[np.repeat(np.arange(len(part)), np.diff(seen.indptr)), seen.indices] = -np.inf
            found, best = highest(scores, n)
            chosen[at, : found.shape[1]], values[at, : found.shape[1]] = found, best
        return chosen, values

    def top(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Best items for the mean member of each segment, whoever has seen them.

        A segment without members gets those of the mean user, so that row and label stay the same.

        Returns:
            (k, min(n, items)) column numbers, −1 where nothing is left, and scores, NaN there.
        """
        k = int(self.labels.max(initial=-1)) + 1
        sums, sizes = np.zeros((k + 1, self.interactions.shape[1])), np.zeros(k + 1)
        for _, part in self._chunks(np.arange(len(self.labels))):
            member = one_hot(self.labels[part], k)
            sums += member @ np.nan_to_num(self.scores(part), nan=0.0, posinf=0.0, neginf=0.0)
            sizes += np.asarray(member.sum(axis=1)).ravel()
        everyone = sums.sum(axis=0) / max(sizes.sum(), 1)
        means = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], everyone)
        return highest(means[:k], n)

    def _chunks(self, users: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Users in parts whose scores fit in memory, and where they stand."""
        step = max(1, _CHUNK_VALUES // max(self.interactions.shape[1], 1))
        for start in range(0, len(users), step):
            yield slice(start, start + step), users[start : start + step]


class Grouped(Fitted):
    """A fitted recommender that has one ranking per segment.

    Attributes:
        by_group: (k + 1, items) float64 scores; the last row is for users without a segment.
    """

    def __init__(self, by_group: np.ndarray, interactions: Interactions, assignments: np.ndarray) -> None:
        super().__init__(interactions, assignments)
        self.by_group = np.asarray(by_group, np.float64)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) scores of each user's segment; a segment that the fit did not know counts as none."""
        return self.by_group[self._groups(users)]

    def _groups(self, users: np.ndarray) -> np.ndarray:
        """(m,) rows of `by_group` of some users."""
        last, labels = len(self.by_group) - 1, self.labels[users]
        return np.where((labels < 0) | (labels > last), last, labels)

    def recommend(self, users: np.ndarray, n: int, exclude_seen: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """The same as of any other recommender, from one ranking per segment: linear in what was seen, not in items."""
        users = np.asarray(users, np.int64)
        groups, seen = self._groups(users), self.interactions.counts[users]
        width = min(n, self.by_group.shape[1])
        most = int(np.diff(seen.indptr).max(initial=0)) if exclude_seen else 0
        ranking, ranked = highest(self.by_group, width + most)
        places = np.tile(np.arange(width), (len(users), 1))
        if exclude_seen:
            places += _above(ranking, seen, groups, width)
        there = places < ranking.shape[1]
        place = (groups[:, None], np.where(there, places, 0))
        chosen, values = np.full((len(users), n), -1), np.full((len(users), n), np.nan)
        chosen[:, :width] = np.where(there, ranking[place], -1)
        values[:, :width] = np.where(there, ranked[place], np.nan)
        return chosen, values

    def top(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Best items of each segment that was fitted: (k, min(n, items)) column numbers and scores."""
        return highest(self.by_group[:-1], n)


def _above(ranking: np.ndarray, seen: "sp.csr_matrix", groups: np.ndarray, width: int) -> np.ndarray:
    """(m, width) seen items that stand above the j-th item that a user has not seen.

    The i-th seen item, at place b_i of the ranking, stands above the j-th unseen one where b_i − i ≤ j.

    Args:
        ranking: (k + 1, depth) items, best first, −1 where nothing is left.
        seen: (m, items) CSR of what was seen.
        groups: (m,) rows of the ranking.
        width: How many unseen items are asked for.
    """
    place = np.full((len(ranking), seen.shape[1]), ranking.shape[1], np.int32)
    group, at = np.nonzero(ranking >= 0)
    place[group, ranking[group, at]] = at
    row = np.repeat(np.arange(len(groups)), np.diff(seen.indptr))
    taken = place[groups[row], seen.indices]
    gaps = taken[np.lexsort((taken, row))] - (np.arange(len(row)) - seen.indptr[row])
    near = gaps < width
    counted = np.bincount(row[near] * width + gaps[near], minlength=len(groups) * width)
    return np.cumsum(counted.reshape(len(groups), width), axis=1)


def check(interactions: Interactions, assignments: np.ndarray) -> np.ndarray:
    """(n,) int64 labels, −1 for none.

    Raises:
        DataError: There is not one label per user.
    """
    labels = np.asarray(assignments, np.int64)
    if labels.shape != (interactions.shape[0],):
        raise DataError(f"recommender: {interactions.shape[0]} users, but labels of shape {labels.shape}")
    return np.maximum(labels, -1)


def highest(scores: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n highest of each row, best first; equal ones go by column.

    Args:
        scores: (m, items) float64; NaN and −inf are left out.
        n: How many.

    Returns:
        (m, min(n, items)) int64 columns, −1 where nothing is left, and their scores, NaN there.
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    m, items = scores.shape
    width = min(n, items)
    if not width or not m:
        return np.full((m, width), -1), np.full((m, width), np.nan)
    least = np.partition(scores, items - width, axis=1)[:, items - width, None]
    above, tied = scores > least, scores == least
    room = width - above.sum(axis=1, keepdims=True)
    chosen = above | (tied & (np.cumsum(tied, axis=1) <= room))
    columns = np.nonzero(chosen)[1].reshape(m, width)
    values = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    columns, values = np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)
    left = values > -np.inf
    return np.where(left, columns, -1), np.where(left, values, np.nan)


def one_hot(labels: np.ndarray, k: int) -> "sp.csr_matrix":
    """(k + 1, n) CSR, 1 where a user is a member; the last row is of users without a segment."""
    import scipy.sparse as sp

    rows = np.where(labels < 0, k, labels)
    return sp.csr_matrix((np.ones(len(labels)), (rows, np.arange(len(labels)))), shape=(k + 1, len(labels)))
