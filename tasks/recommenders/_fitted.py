"""A fitted recommender: scores of all items for each user, of which the best that are new to the user are recommended.

A recommender says what it learned in `scores`, and for whom in `interactions` and `labels`; `of` gives the same
knowledge for other histories, such as those of users who came after the fit. So training, batch and online recommend by
one code.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from schemas.errors import DataError
from schemas.interactions import Interactions
from tasks.numerics.popularity import popularity
from tasks.ranking.highest import highest, orders, top_unseen

if TYPE_CHECKING:
    import scipy.sparse as sp

T = TypeVar("T")
_CHUNK_VALUES = 4_000_000  # scores in one chunk of users (16 MB in float32)
_THREADS = 4  # more than these wait for memory


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
        """(m, items) float32 or float64 scores for (m,) row numbers; NaN or −inf: not recommended to this user.

        The array is the caller's, to write into.
        """

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

    def settled(self) -> dict[str, float]:
        """Parameters that the fit learned because its config left them open; given, another fit need not."""
        return {}

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

        def one(chunk: tuple[slice, np.ndarray]) -> None:
            at, part = chunk
            scores = self.scores(part)
            if exclude_seen:
                seen = self.interactions.counts[part]
                scores[np.repeat(np.arange(len(part)), np.diff(seen.indptr)), seen.indices] = -np.inf
            found, best = highest(scores, n)
            chosen[at, : found.shape[1]], values[at, : found.shape[1]] = found, best

        in_threads(one, list(self._chunks(users)))
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

    def _width(self) -> int:
        """Values that a user's scores need at once."""
        return self.interactions.shape[1]

    def _chunks(self, users: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Users in parts whose scores fit in memory, and where they stand."""
        step = max(1, _CHUNK_VALUES // max(self._width(), 1))
        for start in range(0, len(users), step):
            yield slice(start, start + step), users[start : start + step]


class Personal(Fitted):
    """A fitted recommender that knows of a user what is in the history; who has none gets what is popular.

    Attributes:
        common: (items,) interactions per user of the histories that it was fitted on.
    """

    def __init__(self, interactions: Interactions, assignments: np.ndarray) -> None:
        super().__init__(interactions, assignments)
        self.common = popularity(interactions.counts)

    @abstractmethod
    def own_scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) scores by the users' histories; of users without one they are not looked at."""

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) scores by each user's history, or popularity where there is none."""
        found = self.own_scores(users)
        found[np.diff(self.interactions.counts.indptr)[users] == 0] = self.common
        return found


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

    def recommend(self, users: np.ndarray, n: int, exclude_seen: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Best items of each user, without a users × items matrix; see `Fitted.recommend`."""
        groups = self._groups(np.asarray(users, np.int64))
        seen = self.interactions.counts[users]
        chosen = top_unseen(self._orders, groups, seen if exclude_seen else seen[:, :0], n)
        values = self.by_group[groups[:, None], chosen]
        left = (chosen >= 0) & (values > -np.inf)
        return np.where(left, chosen, -1), np.where(left, values, np.nan)

    @cached_property
    def _orders(self) -> np.ndarray:
        return orders(self.by_group)

    def _groups(self, users: np.ndarray) -> np.ndarray:
        last, labels = len(self.by_group) - 1, self.labels[users]
        return np.where((labels < 0) | (labels > last), last, labels)

    def top(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Best items of each segment that was fitted: (k, min(n, items)) column numbers and scores."""
        return highest(self.by_group[:-1], n)


def check(interactions: Interactions, assignments: np.ndarray) -> np.ndarray:
    """(n,) int64 labels, −1 for none.

    Raises:
        DataError: There is not one label per user.
    """
    labels = np.asarray(assignments, np.int64)
    if labels.shape != (interactions.shape[0],):
        raise DataError(f"recommender: {interactions.shape[0]} users, but labels of shape {labels.shape}")
    return np.maximum(labels, -1)


def one_hot(labels: np.ndarray, k: int) -> "sp.csr_matrix":
    """(k + 1, n) CSR, 1 where a user is a member; the last row is of users without a segment."""
    import scipy.sparse as sp

    rows = np.where(labels < 0, k, labels)
    return sp.csr_matrix((np.ones(len(labels)), (rows, np.arange(len(labels)))), shape=(k + 1, len(labels)))


def in_threads(call: Callable[[T], None], parts: Sequence[T]) -> None:
    """Call with each part, in a few threads of one BLAS thread each; one part alone is called as it is."""
    import threadpoolctl

    if len(parts) < 2:
        for part in parts:
            call(part)
        return
    with threadpoolctl.threadpool_limits(1, "blas"), ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        list(pool.map(call, parts))
