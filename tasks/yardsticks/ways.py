"""Every way to recommend, as lists of items for the asked users of a split."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from schemas.config import EvaluateConfig, Section, kind_of
from schemas.errors import DataError
from schemas.yardsticks import SEGMENTS
from tasks.plugins.find import kinds, module_of, plugin
from tasks.yardsticks.split import Split

POPULARITIES = ("global_popularity", "recent_popularity", "decayed_popularity")
"""Ways that know nothing of the user: the strongest of them is what the others are compared with."""


@dataclass(frozen=True)
class Lists:
    """What one way recommends.

    Attributes:
        chosen: For each draw or seed (m, top_n) int64 columns for the asked users, −1 where nothing is left.
        seconds: What a draw took, on average.
    """

    chosen: tuple[np.ndarray, ...]
    seconds: float


@dataclass
class Collected:
    """Ways by name, and those that could not be had."""

    lists: dict[str, Lists] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def unless(self, name: str) -> Iterator[None]:
        """A way that the data does not allow, such as one that needs texts, is told and left out."""
        try:
            yield
        except DataError as error:
            self.skipped[name] = str(error)


def yardsticks(config: EvaluateConfig, repeats: bool) -> dict[str, Section]:
    """Name -> config of every recommender that is measured beside the segments.

    Where none is named it is every kind there is, and what is popular of late. Popularity within segments has a row of
    its own already, and what a user did most often, alone or with neighbours, says nothing where it is left out of the
    list. Where it is not, `hybrid` has no place, which learns what to pick by what was new to users.

    Args:
        config: Which ones, and what counts as of late.
        repeats: Whether items that a user had before stay in the lists.
    """
    popular, days = plugin("recommenders", "global_popularity").Config, config.recent_days
    if config.yardsticks is not None:
        named = {kind_of(one): one for one in config.yardsticks}
        return {"global_popularity": popular(), **named}
    own = {SEGMENTS, "hybrid"} if repeats else {SEGMENTS, "personal_frequency", "tifu_knn"}
    late = {"recent_popularity": popular(days=days), "decayed_popularity": popular(half_life_days=days)}
    late["decayed_segments"] = plugin("recommenders", SEGMENTS).Config(half_life_days=days)
    return {
        **{kind: plugin("recommenders", kind).Config() for kind in kinds("recommenders") if kind not in own},
        **late,
    }


def one_by_one(split: Split, configs: Mapping[str, Section], labels: np.ndarray, seed: int) -> Collected:
    """What recommenders recommend that are fitted on the histories before the cut.

    Args:
        split: The histories.
        configs: Name -> a `Config` of `tasks/recommenders`.
        labels: (n,) segments, for those that look at them.
        seed: Of every fit.
    """
    found = Collected()
    for name, config in configs.items():
        with found.unless(name):
            found.lists[name] = _recommended(split, config, (labels,), seed)
    return found


def by_segment(split: Split, groups: Mapping[str, np.ndarray], prior_weight: float, seed: int) -> dict[str, Lists]:
    """What popularity within segments recommends.

    Args:
        split: The histories.
        groups: Name -> (draws, n) labels.
        prior_weight: Weight of global popularity in a score.
        seed: Of every fit.
    """
    config = plugin("recommenders", "segment_popularity").Config(prior_weight=prior_weight)
    return {name: _recommended(split, config, tuple(labels), seed) for name, labels in groups.items()}


def _recommended(split: Split, config: Section, draws: tuple[np.ndarray, ...], seed: int) -> Lists:
    module, start, chosen = module_of("recommenders", config), time.perf_counter(), []
    for labels in draws:
        fitted = module.fit(split.train, split.items, labels, config, np.random.default_rng(seed))
        chosen.append(fitted.recommend(split.asked, split.top_n, exclude_seen=not split.repeats)[0])
    return Lists(tuple(chosen), (time.perf_counter() - start) / max(len(draws), 1))
