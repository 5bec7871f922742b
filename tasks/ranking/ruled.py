"""A fitted recommender whose lists keep to rules: a wrapper round whatever it recommends."""

from typing import Any

import numpy as np

from schemas.errors import DataError
from schemas.recommended import Basis
from tasks.ranking.exposure import in_head
from tasks.ranking.rerank import Rules, rerank


class Ruled:
    """What a fitted recommender recommends, made anew from longer lists.

    Attributes:
        fitted: Whose lists they are; see `tasks/recommenders/_fitted.py`.
        rules: What they keep to.
        pool: Candidates for a list, times its length.
    """

    def __init__(self, fitted: Any, rules: Rules, pool: int) -> None:
        self.fitted, self.rules, self.pool = fitted, rules, pool

    def of(self, interactions: Any, assignments: np.ndarray) -> "Ruled":
        """The same for other histories."""
        return Ruled(self.fitted.of(interactions, assignments), self.rules, self.pool)

    def recommend(self, users: np.ndarray, n: int, exclude_seen: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Lists of users: (m, n) column numbers, −1 where nothing is left, and scores that say their order alone."""
        return self._made(self.fitted.recommend(users, n * self.pool, exclude_seen), n)

    def top(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Lists of segments: (k, min(n, items)) column numbers and such scores."""
        found = self.fitted.top(n * self.pool)
        return self._made(found, min(n, found[0].shape[1]))

    def _made(self, found: tuple[np.ndarray, np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
        lists = rerank(*found, n, self.rules)
        return lists, np.where(lists >= 0, 1 - np.arange(n) / max(n, 1), np.nan)


def ruled(fitted: Any, basis: Basis) -> Any:
    """A recommender that keeps to the rules of a basis; as it is where they ask for nothing.

    Raises:
        DataError: an item that heads every list was never chosen, or the rules need what is not known of the items.
    """
    asked, items, chosen = basis.terms.rules, basis.items, basis.chosen
    if asked.silent:
        return fitted
    place = {item: column for column, item in enumerate(chosen.items.to_list())}
    if unknown := [item for item in asked.always if item not in place]:
        raise DataError(f"recommend.rules.always: nobody chose {', '.join(unknown)}; name items that somebody chose")
    never = np.zeros(len(place), bool)
    never[[place[item] for item in asked.never if item in place]] = True
    vectors, categories = (None, None) if items is None else (items.vectors, items.categories)
    rules = Rules(
        relevance=asked.relevance,
        vectors=categories if vectors is None else vectors,
        tail=~in_head(chosen.interactions.counts),
        tail_share=asked.tail_share,
        never=never,
        always=tuple(place[item] for item in asked.always),
        categories=categories,
        at_most=asked.at_most,
    )
    return Ruled(fitted, rules, asked.pool)
