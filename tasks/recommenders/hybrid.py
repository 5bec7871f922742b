"""What the ladder picks by the events at hand: for users of so many items, the recommender that did best by so many.

Users are banded by the items in their histories. Each rung is fitted without some of the users and serves them by as
many first items as is the least of a band; the one that finds most of what came later in ten items takes the band (see
`_inner`).
"""

from typing import Literal, Self

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.errors import DataError
from schemas.interactions import Interactions, Items
from tasks.recommenders._fitted import Fitted, check
from tasks.recommenders._inner import Params, Trial, fit_sibling, standardised, trial

BANDS = {"0": 0, "1-2": 1, "3-4": 3, "5-9": 5, "10+": 10}
"""Name of each band, and the least items in a history of it."""
_NEEDS_ITEMS = ("content",)


class Config(Section):
    """What stands on the ladder."""

    kind: Literal["hybrid"] = "hybrid"
    rungs: tuple[str, ...] = Field(
        ("global_popularity", "segment_popularity", "segment_aware", "ease", "content"),
        min_length=1,
        description="recommenders by kind; of equals the first is taken; content only where items have "
        "texts or categories",
    )
    params: dict[str, Params] = Field(
        default={"global_popularity": {"half_life_days": 30.0}},
        description="parameters of each, by kind; what is left out keeps its default",
    )
    independent: bool = Field(
        False, description="whether a user's segment is known without a history, as by attributes, when choosing"
    )


class Ladder(Fitted):
    """The recommenders that were chosen.

    Attributes:
        rungs: Kind -> fitted recommender, those in use.
        chosen: Band -> kind.
        recalls: Band -> kind -> recall on users kept from the fit, for a report.
    """

    def __init__(
        self,
        rungs: dict[str, Fitted],
        chosen: dict[str, str],
        recalls: dict[str, dict[str, float]],
        interactions: Interactions,
        labels: np.ndarray,
    ) -> None:
        super().__init__(interactions, labels)
        self.rungs, self.chosen, self.recalls = rungs, chosen, recalls

    def of(self, interactions: Interactions, assignments: np.ndarray) -> Self:
        """The same for other histories, with every rung folded in."""
        other = super().of(interactions, assignments)
        other.rungs = {kind: rung.of(interactions, assignments) for kind, rung in self.rungs.items()}
        return other

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) scores of each user's rung, on one scale: mean 0, deviation 1 over what it recommends."""
        users = np.asarray(users, np.int64)
        band = bands(self.interactions, users)
        kinds = np.array(list(self.chosen.values()))[band]
        found = np.empty((len(users), self.interactions.shape[1]))
        for kind in np.unique(kinds):
            at = np.flatnonzero(kinds == kind)
            own = self.rungs[str(kind)].scores(users[at])
            found[at] = np.where(np.isfinite(own), standardised(own), -np.inf)
        return found


def bands(interactions: Interactions, users: np.ndarray) -> np.ndarray:
    """(m,) number of the band of each of (m,) users, in the order of `BANDS`."""
    own = np.diff(interactions.counts.indptr)[users]
    return np.searchsorted(list(BANDS.values()), own, side="right") - 1


def fit(
    interactions: Interactions, items: Items | None, assignments: np.ndarray, config: Config, rng: np.random.Generator
) -> Ladder:
    """Try every rung on users kept from the fit, and fit on all those that were best for a band.

    Args:
        interactions: Histories of n users.
        items: Handed to the rungs.
        assignments: (n,) labels.
        config: Parameters.
        rng: Draws the users to judge by, and what the rungs draw.

    Raises:
        DataError: There is no rung that can be fitted, or there is not one label per user.
    """
    labels = check(interactions, assignments)
    known = items is not None and (items.vectors is not None or items.categories is not None)
    kinds = [kind for kind in config.rungs if known or kind not in _NEEDS_ITEMS]
    if not kinds:
        raise DataError(f"hybrid: {', '.join(config.rungs)} needs item texts or categories, and there are none")
    within = trial(interactions, labels, config.independent, rng)
    recalls: dict[str, dict[str, float]] = {band: {} for band in BANDS}
    for kind in kinds if len(kinds) > 1 else ():
        tried = fit_sibling(kind, config.params.get(kind, {}), within.rest, items, within.labels, rng)
        for band, recall in _tried(within, tried).items():
            recalls[band][kind] = recall
    chosen = {band: max(kinds, key=lambda kind: recalls[band].get(kind, 0.0)) for band in BANDS}
    used = {
        kind: fit_sibling(kind, config.params.get(kind, {}), interactions, items, labels, rng)
        for kind in kinds
        if kind in chosen.values()
    }
    return Ladder(used, chosen, recalls, interactions, labels)


def _tried(within: Trial, fitted: Fitted) -> dict[str, float]:
    """Band -> recall of users known by the least items of the band; in the last one by all but their newest fifth."""
    if not within.judges.shape[0]:
        return dict.fromkeys(BANDS, 0.0)
    all_served = (within.served(None if least == max(BANDS.values()) else least) for least in BANDS.values())
    found = (float(np.nanmean(served.recall(served.scores(fitted)))) for served in all_served)
    return dict(zip(BANDS, found, strict=True))
