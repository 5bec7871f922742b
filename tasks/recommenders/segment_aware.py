"""A one-to-one recommender that leans on the user's segment, the more the less is known of the user.

    score(u, i) = (1 − s(n)) · ((1 − floor) · z(base) + floor · z(lift)) + s(n) · z(popular)
    s(n) = strength / (strength + n)

z: mean 0, deviation 1 over the items, for each user. n: items in the user's history. popular: what segment_popularity
says; lift: log(popular in the segment / popular with everybody), each as if one more user had every item. So the
segment weighs floor + (1 − floor) · s(n) in all; whom nothing is known of gets what is popular in the segment, and who
is known a little of what sets the segment apart, for what is popular the base knows.

What `floor` and `strength` are not told is learned from users kept from a first fit (see `_inner`). Floor: the least
within two standard errors of the best recall for whole histories (after Breiman et al. 1984, ch. 3, who take one), so
that segments which do not clearly help leave the base alone. Strength: the least within 1 % of the best mean recall
over histories cut to 1, 3, 5 and 10 items, and whole.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.interactions import Interactions, Items
from tasks.recommenders._fitted import Fitted, Grouped, check
from tasks.recommenders._inner import Params, Served, Trial, fit_sibling, lift, sibling, standardised, trial

PRIOR = "segment_popularity"
_EVENTS = (1, 3, 5, 10, None)  # histories are cut to so many; None: whole
_SHARES = np.array([0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0])  # of what is popular, at which recall is measured
_FLOORS = (0.0, 0.02, 0.05, 0.1, 0.2)
_NEAR = 0.99  # of the best recall: as good as the best
_STRENGTHS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Config(Section):
    """Which recommender is blended with the segment, and by how much."""

    kind: Literal["segment_aware"] = "segment_aware"
    base: str = Field("ease", min_length=1, description="the one-to-one recommender, by its kind")
    base_params: Params = Field(default_factory=dict, description="its parameters; what is left out keeps its default")
    prior_params: Params = Field(default_factory=dict, description="parameters of segment_popularity")
    floor: float | None = Field(None, ge=0, le=1, description="weight of what sets the segment apart; none: learned")
    strength: float | None = Field(
        None, ge=0, description="items of a history that what is popular in the segment counts as; none: learned"
    )
    independent: bool = Field(
        False, description="whether a user's segment is known without a history, as by attributes, when learning"
    )


@dataclass(frozen=True)
class Parts:
    """What is blended, on the same histories."""

    base: Fitted
    popular: Fitted
    lift: Fitted

    def of(self, interactions: Interactions, labels: np.ndarray) -> "Parts":
        """The same for other histories."""
        return Parts(*(one.of(interactions, labels) for one in (self.base, self.popular, self.lift)))

    def standardised(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(m, items) scores of base, popular and lift."""
        base, popular, lift = (standardised(one.scores(users)) for one in (self.base, self.popular, self.lift))
        return base, popular, lift


class Blend(Fitted):
    """Fitted recommenders and how they are weighed.

    Attributes:
        parts: The recommenders.
        floor: Weight of the lift for users who are known well.
        strength: Items of a history that what is popular in the segment counts as.
    """

    def __init__(
        self, parts: Parts, floor: float, strength: float, interactions: Interactions, labels: np.ndarray
    ) -> None:
        super().__init__(interactions, labels)
        self.parts, self.floor, self.strength = parts, floor, strength

    def of(self, interactions: Interactions, assignments: np.ndarray) -> Self:
        """The same for other histories, with every part folded in."""
        other = super().of(interactions, assignments)
        other.parts = self.parts.of(interactions, other.labels)
        return other

    def settled(self) -> dict[str, float]:
        """How the parts are weighed."""
        return {"floor": self.floor, "strength": self.strength}

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) float64 blended scores."""
        n = np.diff(self.interactions.counts.indptr)[users]
        return blended(self.parts.standardised(users), self.floor, shares(n, self.strength)[:, None])


def blended(parts: tuple[np.ndarray, np.ndarray, np.ndarray], floor: float, share: np.ndarray | float) -> np.ndarray:
    """(m, items) scores of standardised base, popular and lift; share: of popular, a number or (m, 1)."""
    base, popular, lift = parts
    return np.asarray((1 - share) * ((1 - floor) * base + floor * lift) + share * popular)


def shares(n: np.ndarray, strength: float) -> np.ndarray:
    """(m,) weight of what is popular for users with (m,) items in their histories; 1 without any."""
    n = np.asarray(n, np.float64)
    return np.divide(strength, strength + n, out=np.ones_like(n), where=n > 0)


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Blend:
    """Fit the parts, once more on the inner slice where weights are learned.

    Args:
        interactions: Histories of n users.
        items: Handed to the base.
        assignments: (n,) labels; users at −1 lean on what is popular with everybody.
        config: Parameters.
        rng: Draws the users to learn by, and what the base draws.

    Raises:
        DataError: There is no such base, or there is not one label per user.
    """
    labels = check(interactions, assignments)
    floor, strength = config.floor, config.strength
    if floor is None or strength is None:
        within = trial(interactions, labels, config.independent, rng)
        tried = _parts(within.rest, items, within.labels, config, rng)
        floor = learned_floor(within, tried) if floor is None else floor
        strength = learned_strength(within, tried, floor) if strength is None else strength
    return Blend(_parts(interactions, items, labels, config, rng), floor, strength, interactions, labels)


def unchosen(items: Items, config: Config) -> np.ndarray:
    """(items,) bool: what the base ranks though nobody has chosen it."""
    asked = sibling(config.base)
    told = asked.unchosen(items, asked.Config(**config.base_params)) if hasattr(asked, "unchosen") else False
    return np.full(len(items), told)


def learned_floor(within: Trial, parts: Parts) -> float:
    """The least weight of the lift whose recall is within two standard errors of the best one's, user by user.

    Args:
        within: The trial; without judges the least weight of all.
        parts: Fitted on the rest.
    """
    served = within.served(None)
    own = _scores(served, parts)
    found = np.array([served.recall(blended(own, floor, 0.0)) for floor in _FLOORS])
    if not found.size:
        return _FLOORS[0]
    gaps = found[found.mean(axis=1).argmax()] - found
    near = gaps.mean(axis=1) <= 2 * gaps.std(axis=1) / np.sqrt(found.shape[1])
    return _FLOORS[int(near.argmax())]


def learned_strength(within: Trial, parts: Parts, floor: float) -> float:
    """The least strength whose mean recall over all cuts is within 1 % of the best.

    Recall is measured at a few shares for each cut, and taken to be linear between them.

    Args:
        within: The trial; without judges a strength of 1.
        parts: Fitted on the rest.
        floor: Weight of the lift.
    """
    if not within.judges.shape[0]:
        return 1.0
    quality = np.zeros(len(_STRENGTHS))
    for events in _EVENTS:
        served = within.served(events)
        if not served.wanted.nnz:  # nobody has that many items
            continue
        own, n = _scores(served, parts), np.diff(served.known.counts.indptr)
        curve = [np.nanmean(served.recall(blended(own, floor, share))) for share in _SHARES]
        quality += [np.interp(shares(n, strength), _SHARES, curve).mean() for strength in _STRENGTHS]
    return _STRENGTHS[int((quality >= _NEAR * quality.max()).argmax())]


def _scores(served: Served, parts: Parts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardised scores of the users who are served."""
    return parts.of(served.known, served.labels).standardised(np.arange(len(served.labels)))


def _parts(
    interactions: Interactions, items: Items | None, labels: np.ndarray, config: Config, rng: np.random.Generator
) -> Parts:
    base = fit_sibling(config.base, config.base_params, interactions, items, labels, rng)
    popular = fit_sibling(PRIOR, config.prior_params, interactions, items, labels, rng)
    assert isinstance(popular, Grouped)
    apart = Grouped(lift(popular.by_group, interactions.shape[0]), interactions, labels)
    return Parts(base, popular, apart)
