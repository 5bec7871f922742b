"""What a user is interested in: a family over events and the categories of their items, one bucket at a time.

U is the number of users with events, U_c of those who touched category c, U_i of those who touched item i, all at the
fit. An event of the user weighs w = event_weights[name] · 2^(−age / half_life_days) (the age may be counted from any
moment: the shares below don't change) and its item's k categories get w / k each. Categories are the max_categories
with the most users. Null: the user has no events (for the first three: none on items with such a category).

    affinity_<category>  s_c · ln(1 + U / U_c): TF-IDF with s_c, the user's share of w on c (Σ s = 1), as term
                         frequency; dimensionless, 0 and above
    category_entropy     breadth: −Σ s_c ln s_c, nats
    categories_touched   number of categories with s_c > 0
    novelty              mean over the user's events of log2((U + 1) / (U_i + 1)), the item's self-information, bits
                         (Zhou et al. 2010); an item that the fit has not seen has U_i = 0
    long_tail_share      share of the user's events on items outside the head, in [0, 1]; the head is the most popular
                         items, ties included, that together have head_share of all events
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from schemas.artifacts import State
from schemas.config import Word
from schemas.tables import ITEM_ID, ITEMS, Bucket
from tasks.features import _interest as kernels
from tasks.features._common import FamilyConfig, answer, chosen, require
from tasks.features._timeline import timeline
from tasks.numerics.history import population
from tasks.numerics.keys import locate, pack_strings, unpack_strings

if TYPE_CHECKING:
    import polars as pl

REQUIRES: tuple[str, ...] = ("events", "items")
_AFFINITY, _BREADTH, _ITEMS = "affinity_", ("category_entropy", "categories_touched"), ("novelty", "long_tail_share")


class Config(FamilyConfig):
    """Settings of the interest family."""

    kind: Literal["interest"] = "interest"
    half_life_days: float = Field(90.0, gt=0, description="an event's weight halves every so many days")
    max_categories: int = Field(64, ge=1, le=1024, description="categories that get a column, by number of users")
    event_weights: dict[Word, float] = Field(default_factory=dict, description="weight per event name; not named: 1")
    head_share: float = Field(0.8, gt=0, lt=1, description="share of all events that the head of items has")


@dataclass(frozen=True)
class Partial:
    """Whole-number statistics of some buckets, so that merging is exact in any order.

    Attributes:
        users: Users with events.
        items: Per item its `events` and `users`; size: the items with events.
        categories: Category -> users who touched it; size: the categories.
        config: The config that the statistics were made with.
    """

    users: int
    items: "pl.DataFrame"
    categories: dict[str, int]
    config: Config


def clockless(config: Config) -> bool:
    """Whether `as_of` only cuts the fit off: a later one changes nothing where nothing new became known."""
    return True


def partial(bucket: Bucket, config: Config, as_of: datetime) -> Partial:
    """Statistics of one bucket's events up to `as_of`."""
    import polars as pl

    require(bucket, REQUIRES, config.kind)
    line = timeline(bucket, as_of)
    code, names = line.codes(ITEM_ID)
    events, users = (np.bincount(each, minlength=len(names)) for each in (code, line.pairs(code)[1]))
    owned, vocabulary = kernels.categories_of(bucket[ITEMS.name], names, None)
    touched = np.bincount(
        (kernels.rows(line, code, np.ones(len(code)), len(names)) @ owned).indices, minlength=len(vocabulary)
    )
    counts = {key: count for key, count in zip(vocabulary, touched.tolist(), strict=True) if count}
    return Partial(len(line.starts), pl.DataFrame({ITEM_ID: names, "events": events, "users": users}), counts, config)


def merge(a: Partial, b: Partial) -> Partial:
    """Statistics of both."""
    import polars as pl

    items = pl.concat([a.items, b.items]).group_by(ITEM_ID).sum()
    categories = {key: a.categories.get(key, 0) + b.categories.get(key, 0) for key in a.categories | b.categories}
    return Partial(a.users + b.users, items, categories, a.config)


def finish(partial: Partial, rng: np.random.Generator) -> State:
    """Categories and their weights, and what is known of each item; nothing here is random."""
    config, items = partial.config, partial.items.sort(ITEM_ID)
    kept = sorted(partial.categories, key=lambda name: (-partial.categories[name], name))[: config.max_categories]
    events, users = items["events"].to_numpy(), items["users"].to_numpy()
    counts = np.array([partial.categories[name] for name in kept], np.float64)
    arrays = pack_strings(items[ITEM_ID].to_list(), "items") | {
        "information": np.log2((partial.users + 1) / (np.append(users, 0) + 1)),
        "tail": np.append(events < kernels.head(events, config.head_share), True),
        "idf": np.log1p(partial.users / counts),
    }
    breadth = _BREADTH if kept else ()
    columns = chosen([*(_AFFINITY + name for name in kept), *breadth, *_ITEMS], config, config.kind)
    return State(arrays, {"columns": columns, "categories": kept})


def unknown(bucket: Bucket, state: State, config: Config, as_of: datetime) -> dict[str, tuple[float, float]]:
    """Events on items, and on categories, that the fit did not see, and events in all."""
    line = timeline(bucket, as_of)
    code, names = line.codes(ITEM_ID)
    strange = locate(unpack_strings(state.arrays, "items"), names)[code] < 0
    of_known, every = (
        np.asarray(kernels.categories_of(bucket[ITEMS.name], names, which)[0].sum(axis=1)).ravel()[code]
        for which in (state.meta["categories"], None)
    )
    found = {"items": (float(strange.sum()), float(len(code)))}
    if len(state.meta["categories"]) < config.max_categories:  # otherwise rare ones are left out on purpose
        found["categories"] = float((every - of_known).sum()), float(every.sum())
    return found


def transform(bucket: Bucket, state: State, config: Config, as_of: datetime) -> "pl.DataFrame":
    """Features of one bucket's users: user_id and Float32 columns, see the module's docstring."""
    require(bucket, REQUIRES, config.kind)
    line = timeline(bucket, as_of)
    code, names = line.codes(ITEM_ID)
    categories, weights = state.meta["categories"], kernels.weights(line, config.event_weights, config.half_life_days)
    shares = kernels.shares(line, code, weights, kernels.categories_of(bucket[ITEMS.name], names, categories)[0])
    # NaN where the user has no category: it passes through the sum, not through the count.
    breadth = np.abs((shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1))
    values = {_AFFINITY + name: shares[:, k] * state.arrays["idf"][k] for k, name in enumerate(categories)}
    values["category_entropy"] = breadth
    values["categories_touched"] = np.where(np.isnan(breadth), np.nan, (shares > 0).sum(axis=1))
    # An unknown item is found at −1: the last entry of both arrays stands for it.
    at = locate(unpack_strings(state.arrays, "items"), names)[code]
    values["novelty"] = line.total(state.arrays["information"][at]) / line.counts
    values["long_tail_share"] = line.total(state.arrays["tail"][at]) / line.counts
    return answer(population(bucket, as_of), line.users, values, state.meta["columns"])
