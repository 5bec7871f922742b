"""What the codes of sequences stand for, and what is known of the items behind them.

An item keeps its code from one retrain to the next, and new ones come after those that are known, so that an encoder
which starts from the live model's moves nothing that it knew.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import State
from schemas.config import TextsConfig
from schemas.interactions import Items
from schemas.tables import CATEGORIES, EVENT, EVENTS, ITEM_ID, USER_ID, Bucket
from tasks.numerics.history import until
from tasks.numerics.interactions import belongs
from tasks.numerics.keys import pack_strings, unpack_strings
from tasks.stores.buckets import reduce_buckets
from tasks.texts.templates import item_vectors
from tasks.vectors.encoder import Lookup
from tasks.vectors.learner import Learner

if TYPE_CHECKING:
    import polars as pl

_ITEMS, _KINDS, _CATEGORIES = "items", "kinds", "categories"


@dataclass(frozen=True)
class Known:
    """What codes stand for: ids of items, names of events and of categories; each in the order of its codes."""

    items: "pl.Series"
    kinds: "pl.Series"
    categories: "pl.Series"

    @classmethod
    def of(cls, state: State) -> "Known":
        """The vocabulary of a fitted state."""
        return cls(*(unpack_strings(state.arrays, name) for name in (_ITEMS, _KINDS, _CATEGORIES)))

    def arrays(self) -> dict[str, np.ndarray]:
        """As arrays of a state."""
        named = ((_ITEMS, self.items), (_KINDS, self.kinds), (_CATEGORIES, self.categories))
        return {key: array for name, values in named for key, array in pack_strings(values.to_list(), name).items()}


@dataclass(frozen=True)
class Speaks:
    """The texts of items: which they are, and where their vectors are looked up."""

    config: TextsConfig
    lookup: Lookup
    dimension: int


def vocabulary(
    learner: Learner, catalogue: "pl.DataFrame | None", before: Known | None
) -> "tuple[Known, pl.DataFrame | None]":
    """Items, events and categories of the histories: old ones in their order, then new ones, sorted.

    Args:
        learner: Whose histories.
        catalogue: Table items; None: there is none.
        before: What is known already.

    Returns:
        The vocabulary, and the catalogue's rows of its items, in their order.
    """
    import polars as pl

    as_of, least = learner.run.as_of, learner.config.min_item_users  # type: ignore[attr-defined]

    def counted(bucket: Bucket) -> "tuple[pl.DataFrame, pl.DataFrame]":
        events = until(bucket[EVENTS.name], as_of)
        items = events.group_by(pl.col(ITEM_ID).cast(pl.String)).agg(pl.col(USER_ID).n_unique().alias("users"))
        return items, events.select(pl.col(EVENT).cast(pl.String).unique())

    def merged(a: Any, b: Any) -> Any:
        items = pl.concat([a[0], b[0]]).group_by(ITEM_ID).agg(pl.col("users").sum())
        return items, pl.concat([a[1], b[1]]).unique()

    events = {EVENTS.name: learner.tables[EVENTS.name]}
    items, kinds = reduce_buckets(events, counted, merged, learner.execution)
    found = items.filter(pl.col("users") >= least)[ITEM_ID]
    ids = _grown(found, found[:0] if before is None else before.items)
    told = None if catalogue is None else ordered(catalogue, ids)
    names = pl.Series(dtype=pl.String) if told is None else told[CATEGORIES].explode().drop_nulls()
    old = before or Known(ids[:0], ids[:0], ids[:0])
    return Known(ids, _grown(kinds[EVENT], old.kinds), _grown(names, old.categories)), told


def _grown(found: "pl.Series", before: "pl.Series") -> "pl.Series":
    """Old strings in their order, then the new ones among those found, sorted."""
    import polars as pl

    found, before = (one.cast(pl.String).alias("known") for one in (found, before))
    new = found.drop_nulls().unique().sort()
    return pl.concat([before, new.filter(~new.is_in(before.implode()))])


def ordered(catalogue: "pl.DataFrame", ids: "pl.Series") -> "pl.DataFrame":
    """The catalogue's rows of some items, in their order; nulls where it does not know one."""
    import polars as pl

    asked = pl.DataFrame({ITEM_ID: ids})
    told = catalogue.with_columns(pl.col(ITEM_ID).cast(pl.String)).unique(ITEM_ID, keep="first", maintain_order=True)
    return asked.join(told, on=ITEM_ID, how="left", maintain_order="left")


def described(rows: "pl.DataFrame | None", known: Known, speaks: Speaks | None) -> Items:
    """What is known of items: vectors of their texts, and categories of the vocabulary."""
    if rows is None:
        return Items(known.items.to_numpy())
    vectors = None if speaks is None else item_vectors(rows, speaks.config, speaks.dimension, speaks.lookup)
    return Items(rows[ITEM_ID].to_numpy(), vectors, belongs(rows[CATEGORIES], known.categories))
