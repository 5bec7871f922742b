"""Recommends from one ranking of items per group of users."""

from typing import TYPE_CHECKING

import numpy as np

from schemas.errors import DataError
from tasks.numerics.hits import clean

if TYPE_CHECKING:
    import scipy.sparse as sp

_CHUNK_VALUES = 8_000_000  # places of items in one chunk of users (32 MB)


class Ranked:
    """A fitted recommender that ranks items per group.

    Attributes:
        scores: (groups, items) float64; the last group is for users without a segment.
        groups: (n,) the row of `scores` for each user.
        interactions: (n, items) CSR; what is stored was seen.
    """

    def __init__(self, scores: np.ndarray, groups: np.ndarray, interactions: "sp.csr_matrix") -> None:
        self.scores, self.groups, self.interactions = scores, groups, interactions
        self._order = np.argsort(-scores, axis=1, kind="stable")  # equal scores go by item number
        self._place = np.empty(scores.shape, np.int32)
        np.put_along_axis(self._place, self._order, np.arange(scores.shape[1], dtype=np.int32)[None], axis=1)

    def recommend(self, users: np.ndarray, n: int, exclude_seen: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Best items of each user's group.

        Args:
            users: (m,) row numbers of `interactions`.
            n: Items wanted.
            exclude_seen: Leave out what the user has interacted with.

        Returns:
            (m, n) int64 column numbers, best first, −1 where nothing is left; (m, n) float64 scores, NaN there.
        """
        users = np.asarray(users, np.int64)
        items = self.scores.shape[1]
        width = min(n, items)
        chosen, step = np.full((len(users), n), -1), max(1, _CHUNK_VALUES // max(items, 1))
        for start in range(0, len(users) if width else 0, step):
            part = users[start : start + step]
            place = self._place[self.groups[part]]
            if exclude_seen:
                seen = self.interactions[part]
                place[np.repeat(np.arange(len(part)), np.diff(seen.indptr)), seen.indices] = items
            near = np.sort(np.partition(place, width - 1, axis=1)[:, :width], axis=1)
            found = self._order[self.groups[part][:, None], np.minimum(near, items - 1)]
            chosen[start : start + step, :width] = np.where(near < items, found, -1)
        scores = self.scores[self.groups[users][:, None], np.maximum(chosen, 0)] if items else np.empty(chosen.shape)
        return chosen, np.where(chosen < 0, np.nan, scores)

    def top(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Best items of each segment: (k, min(n, items)) column numbers and scores, whoever has seen them."""
        order = self._order[:-1, :n]
        return order, np.take_along_axis(self.scores[:-1], order, axis=1)


def check(interactions: "sp.csr_matrix", assignments: np.ndarray) -> tuple["sp.csr_matrix", np.ndarray]:
    """A clean copy of the interactions, and the labels as int64.

    Raises:
        DataError: There is not one label per row.
    """
    labels = np.asarray(assignments, np.int64)
    if labels.shape != (interactions.shape[0],):
        raise DataError(f"recommender: {interactions.shape[0]} users, but labels of shape {labels.shape}")
    return clean(interactions), np.maximum(labels, -1)
