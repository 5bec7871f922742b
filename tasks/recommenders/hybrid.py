"""What the ladder picks by the events at hand: for users of so many items, the recommender that did best by so many.

Users are banded by the items in their histories. Each rung is fitted without some of the users and serves them by as
many items as is the least of a band; the one that finds most of what came next in ten items takes the band (see
`_inner`). What two rungs have in common, such as EASE and a blend with EASE, is fitted once. A rung that the data does
not allow, such as one whose matrices would not fit in memory, is left out with its reason.
"""

from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.errors import DataError
from schemas.interactions import Interactions, Items
from tasks.recommenders._fitted import Fitted, check
from tasks.recommenders._inner import Params, Trial, fit_sibling, fitted_once, sibling, standardised, trial

BANDS = {"0": 0, "1-2": 1, "3-4": 3, "5-9": 5, "10+": 10}
"""Name of each band, and the least items in a history of it."""


class Rung(Section):
    """A recommender on the ladder."""

    kind: str = Field(min_length=1, description="the recommender, by its kind")
    params: Params = Field(default_factory=dict, description="its parameters; what is left out keeps its default")


_DEFAULT = {
    "popular": Rung(kind="global_popularity"),
    "popular_decayed": Rung(kind="global_popularity", params={"half_life_days": 30.0}),
    "segment": Rung(kind="segment_popularity"),
    "segment_decayed": Rung(kind="segment_popularity", params={"half_life_days": 30.0}),
    "segment_aware": Rung(kind="segment_aware"),
    "ease": Rung(kind="ease"),
    "item_knn": Rung(kind="item_knn", params={"half_life": 0.1}),
    "als": Rung(kind="als"),
    "content": Rung(kind="content"),
}


class Config(Section):
    """What stands on the ladder."""

    kind: Literal["hybrid"] = "hybrid"
    rungs: dict[str, Rung] = Field(
        _DEFAULT,
        min_length=1,
        description="recommenders by a name of one's own; of equals the first is taken; what the data does not allow "
        "is left out: content where items have neither texts nor categories, ease where there are too many items",
    )
    independent: bool = Field(
        False, description="whether a user's segment is known without a history, as by attributes, when choosing"
    )


class Ladder(Fitted):
    """The recommenders that were chosen.

    Attributes:
        rungs: Name -> fitted recommender, those in use.
        chosen: Band -> name.
        recalls: Band -> name -> recall on users kept from the fit, for a report.
        left_out: Name -> why the data does not allow it.
    """

    def __init__(
        self,
        rungs: dict[str, Fitted],
        chosen: dict[str, str],
        tried: "Tried",
        interactions: Interactions,
        labels: np.ndarray,
    ) -> None:
        super().__init__(interactions, labels)
        self.rungs, self.chosen, self.recalls, self.left_out = rungs, chosen, tried.recalls, tried.left_out

    def of(self, interactions: Interactions, assignments: np.ndarray) -> Self:
        """The same for other histories, with every rung folded in."""
        other = super().of(interactions, assignments)
        other.rungs = {name: rung.of(interactions, assignments) for name, rung in self.rungs.items()}
        return other

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(m, items) scores of each user's rung, on one scale: mean 0, deviation 1 over what it recommends."""
        users = np.asarray(users, np.int64)
        band = bands(self.interactions, users)
        names = np.array(list(self.chosen.values()))[band]
        found = np.empty((len(users), self.interactions.shape[1]))
        for name in np.unique(names):
            at = np.flatnonzero(names == name)
            own = self.rungs[str(name)].scores(users[at])
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
    for rung in config.rungs.values():
        sibling(rung.kind)
    tried = _all_tried(config.rungs, trial(interactions, labels, config.independent, rng), items, rng)
    if not tried.settled:
        raise DataError("hybrid: no rung can be fitted: " + "; ".join(tried.left_out.values()))
    chosen = {band: max(tried.settled, key=lambda name: tried.recalls[band][name]) for band in BANDS}
    with fitted_once(interactions):
        used = {
            name: fit_sibling(config.rungs[name].kind, params, interactions, items, labels, rng)
            for name, params in tried.settled.items()
            if name in chosen.values()
        }
    return Ladder(used, chosen, tried, interactions, labels)


@dataclass(frozen=True)
class Tried:
    """What came of the rungs.

    Attributes:
        recalls: Band -> name -> recall.
        settled: Name -> its parameters, with those that it learned in the trial.
        left_out: Name -> why the data does not allow it.
    """

    recalls: dict[str, dict[str, float]] = field(default_factory=lambda: {band: {} for band in BANDS})
    settled: dict[str, Params] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def _all_tried(rungs: dict[str, Rung], within: Trial, items: Items | None, rng: np.random.Generator) -> Tried:
    """Every rung fitted on the rest, and judged for each band."""
    found = Tried()
    with fitted_once(within.rest):
        for name, rung in rungs.items():
            try:
                fitted = fit_sibling(rung.kind, rung.params, within.rest, items, within.labels, rng)
            except DataError as error:
                found.left_out[name] = str(error)
                continue
            found.settled[name] = {**rung.params, **fitted.settled()}
            for band, recall in _tried(within, fitted).items():
                found.recalls[band][name] = recall
    return found


def _tried(within: Trial, fitted: Fitted) -> dict[str, float]:
    """Band -> recall of users known by the least items of the band; in the last one by all but their newest fifth."""
    if not within.judges.shape[0]:
        return dict.fromkeys(BANDS, 0.0)
    all_served = (within.served(None if least == max(BANDS.values()) else least) for least in BANDS.values())
    found = (
        float(np.nanmean(served.recall(served.scores(fitted)))) if served.wanted.nnz else 0.0 for served in all_served
    )
    return dict(zip(BANDS, found, strict=True))
