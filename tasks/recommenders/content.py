"""Recommendation by what items are: their texts' vectors and categories against the centroid of a history.

    score(u, i) = vectors_weight · v_i·p_u / |p_u| + categories_weight · c_i·q_u / |q_u|

v are vectors of the texts, centred over the items that have one and whitened, so that what all texts share does not
drown what tells them apart (Su et al. 2021), their mean length being 1; c are unit rows of the categories, from whose
mean over items the profile is taken. A profile is the mean over the n items of the user's history that have such a row,
pulled towards the centroid of the user's segment as if that were `strength` items more:

    p_u = (n · own mean + strength · segment's centroid) / (n + strength)

So items that nobody touched yet are recommended like any other, and users of whom little is known like their segment.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.errors import DataError
from schemas.interactions import Interactions, Items
from tasks.numerics.groups import means
from tasks.numerics.interactions import recency, weighted
from tasks.ranking.exposure import unit_rows
from tasks.recommenders._fitted import Fitted, check

if TYPE_CHECKING:
    import scipy.sparse as sp

_DECIMALS = 9  # beyond them a product differs between one user and many
_TIE = 1e-6  # scores nearer than this are ordered by popularity


class Config(Section):
    """What of an item counts, and how histories are summed up."""

    kind: Literal["content"] = "content"
    vectors_weight: float = Field(1.0, ge=0, description="weight of the vectors of item texts; 0: they do not count")
    shrinkage: float = Field(
        0.01, gt=0, description="added to each variance of the vectors before they are whitened; large: as they are"
    )
    categories_weight: float = Field(0.3, ge=0, description="weight of item categories; 0: they do not count")
    idf: bool = Field(
        False, description="an item of a history weighs log(users / users of the item), as in text vectors"
    )
    half_life: float | None = Field(
        None, gt=0, description="share of a user's own history after which an interaction counts half; none: all alike"
    )
    strength: float = Field(30.0, ge=0, description="items that the centroid of the user's segment counts as")


class Space:
    """Items as rows of one kind, and where segments stand among them.

    Attributes:
        rows: (items, d) array or CSR; zeros where nothing is known of an item.
        weight: Of this space in a score.
        origin: (d,) what profiles are taken against.
        centroids: (k + 1, d) mean profile of each segment; the last one is everybody's, for users without a segment.
    """

    def __init__(self, rows: "np.ndarray | sp.csr_matrix", weight: float) -> None:
        self.rows, self.weight = rows, weight
        self.known = np.asarray(abs(rows).sum(axis=1)).ravel() > 0
        self.origin = np.asarray(rows.sum(axis=0)).ravel() / max(int(self.known.sum()), 1)
        self.centroids = np.zeros((1, rows.shape[1]))

    def own(self, history: "sp.csr_matrix") -> tuple[np.ndarray, np.ndarray]:
        """(m, d) weighted means of histories against the origin, zeros without one, and (m,) items they are of."""
        sums = history @ self.rows
        dense = sums if isinstance(sums, np.ndarray) else sums.toarray()
        weights, items = history @ self.known.astype(np.float64), (history > 0) @ self.known.astype(np.float64)
        mean = dense / np.where(weights > 0, weights, 1.0)[:, None] - self.origin
        return np.where(items[:, None] > 0, mean, 0.0), items

    def learn(self, history: "sp.csr_matrix", labels: np.ndarray) -> None:
        """Centroids of the segments, over the members of whom anything is known."""
        profiles, items = self.own(history)
        there, k = items > 0, int(labels.max(initial=-1)) + 1
        everybody = profiles[there].mean(axis=0) if there.any() else np.zeros(profiles.shape[1])
        mine = means(profiles, np.where(there, labels, -1), k, empty=np.nan)
        self.centroids = np.vstack([np.where(np.isnan(mine), everybody, mine), everybody])

    def scores(self, history: "sp.csr_matrix", groups: np.ndarray, strength: float) -> np.ndarray:
        """(m, items) weighted lengths of items along users' profiles."""
        profiles, n = self.own(history)
        share = np.divide(n, n + strength, out=np.zeros_like(n), where=n > 0)[:, None]
        unit = np.asarray(unit_rows(share * profiles + (1 - share) * self.centroids[groups]))
        rows = self.rows.astype(np.float64)
        found = unit @ rows.T if isinstance(rows, np.ndarray) else (rows @ unit.T).T
        return self.weight * np.round(found, _DECIMALS)


class Content(Fitted):
    """Fitted content recommender.

    Attributes:
        spaces: Of texts and of categories, those that count.
        idf: (items,) weight of each item in a history.
        ties: (items,) share of users of each item, the most popular one's being 1: orders what is equally near.
        config: Parameters.
    """

    def __init__(
        self, spaces: list[Space], config: Config, interactions: Interactions, assignments: np.ndarray
    ) -> None:
        super().__init__(interactions, assignments)
        users = np.bincount(interactions.counts.indices, minlength=interactions.shape[1])
        loud = np.log(max(interactions.shape[0], 1) / np.maximum(users, 1))
        self.idf = np.maximum(loud, 1e-6) if config.idf else np.ones(len(users))
        self.ties = users / max(int(users.max(initial=0)), 1)
        self.spaces, self.config = spaces, config
        for space in spaces:
            space.learn(self._history(interactions), self.labels)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) scores; a user without a history is the segment's centroid, without a segment everybody's."""
        labels, last = self.labels[users], len(self.spaces[0].centroids) - 1
        groups = np.where((labels < 0) | (labels > last), last, labels)
        history = self._history(self.interactions.rows(users))
        found = sum(space.scores(history, groups, self.config.strength) for space in self.spaces)
        return found + _TIE * self.ties

    def _history(self, interactions: Interactions) -> "sp.csr_matrix":
        """(m, items) CSR of how much each item of a history counts."""
        return weighted(
            interactions, recency(interactions, self.config.half_life) * self.idf[interactions.counts.indices]
        )


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Content:
    """Sum up everybody's history by what its items are.

    Args:
        interactions: Histories of n users; how often plays no part.
        items: Their texts' vectors, or their categories, or both.
        assignments: (n,) labels; users at −1 lean on everybody's centroid.
        config: Parameters.
        rng: Not used.

    Raises:
        DataError: Neither vectors nor categories that count are there, items do not align, or labels do not.
    """
    labels = check(interactions, assignments)
    if items is not None and len(items) != interactions.shape[1]:
        raise DataError(f"content: {len(items)} items, but histories over {interactions.shape[1]}")
    spaces = [] if items is None else _spaces(items, config)
    if not spaces:
        raise DataError("content needs item texts or categories, and a weight above 0 for what there is")
    return Content(spaces, config, interactions, labels)


def unchosen(items: Items, config: Config) -> np.ndarray:
    """(items,) bool: of which something that counts is known, so that they are ranked though nobody has chosen them."""
    found = np.zeros(len(items), bool)
    for space in _spaces(items, config):
        found |= space.known
    return found


def _spaces(items: Items, config: Config) -> list[Space]:
    """Items by their texts and by their categories, where these are there and count."""
    found = []
    if items.vectors is not None and config.vectors_weight:
        found.append(Space(_white(items.vectors, config.shrinkage), config.vectors_weight))
    if items.categories is not None and config.categories_weight:
        found.append(Space(unit_rows(items.categories).astype(np.float32), config.categories_weight))
    return found


def _white(vectors: np.ndarray, shrinkage: float) -> np.ndarray:
    """(items, d) float32 vectors, whitened around the mean of those that there are; rows of zeros stay."""
    unit = np.asarray(unit_rows(vectors))
    there = unit.any(axis=1)
    if not there.any():
        return np.asarray(unit, np.float32)
    unit[there] = np.asarray(unit_rows(unit[there] - unit[there].mean(axis=0)))
    variances, axes = np.linalg.eigh(unit.T @ unit / there.sum())
    white = unit @ (axes / np.sqrt(np.maximum(variances, 0.0) + shrinkage)) @ axes.T
    length = float(np.linalg.norm(white[there], axis=1).mean())
    return np.asarray(white / (length or 1.0), np.float32)
