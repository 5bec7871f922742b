"""A fitted encoder of behaviour on one bucket: the code of training, batches and requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import State
from schemas.config import Section
from schemas.interactions import Items
from schemas.tables import EVENTS, ITEM_ID, ITEMS, USER_ID, Bucket
from tasks.numerics.history import population, until
from tasks.numerics.keys import locate
from tasks.plugins.find import module_of
from tasks.sequences.histories import sequences
from tasks.sequences.vocabulary import Known, Speaks, described, ordered

if TYPE_CHECKING:
    import polars as pl

REQUIRES = (EVENTS.name,)
COLUMNS = "columns"
ENCODER = "encoder."


@dataclass(frozen=True)
class Reader:
    """An encoder that was fitted, with what its codes stand for; ready at the first bucket.

    Attributes:
        state: As `fit.fit_behaviour` learned it.
        config: The encoder's.
        speaks: Texts of items that the fit did not see; None: they have none.
    """

    state: State
    config: Section
    speaks: Speaks | None

    @cached_property
    def known(self) -> Known:
        """The vocabulary."""
        return Known.of(self.state)

    @cached_property
    def encoder(self) -> Any:
        """The encoder."""
        return module_of("behaviour_encoders", self.config).from_arrays(arrays_of(self.state), self.config)

    def read(self, bucket: Bucket, as_of: datetime) -> "pl.DataFrame":
        """The bucket's users with their vectors, null for users without events, sorted by user.

        Args:
            bucket: Tables by name.
            as_of: Nothing later is looked at.
        """
        import polars as pl

        known, events = self.known, until(bucket[EVENTS.name], as_of)
        new = _new(events, bucket, known, self.speaks)
        ids = known.items if new is None else pl.concat([known.items, pl.Series(new.ids, dtype=pl.String)])
        users, histories = sequences(events, ids, known.kinds)
        X = self.encoder.encode(histories, new)
        everyone = population(bucket, as_of)
        rows = np.full((len(everyone), X.shape[1]), np.nan, np.float32)
        rows[locate(everyone, users)] = X
        columns = [pl.Series(name, rows[:, j]).fill_nan(None) for j, name in enumerate(self.state.meta[COLUMNS])]
        return pl.DataFrame([everyone.alias(USER_ID), *columns])


def unknown(bucket: Bucket, state: State, as_of: datetime) -> dict[str, tuple[float, float]]:
    """Events on items without an embedding of their own, and events in all."""
    if EVENTS.name not in bucket:
        return {}
    items = until(bucket[EVENTS.name], as_of)[ITEM_ID]
    strange = ~items.is_in(Known.of(state).items.implode())
    return {"items": (float(strange.sum()), float(len(items)))}


def _new(events: "pl.DataFrame", bucket: Mapping[str, Any], known: Known, speaks: Speaks | None) -> Items | None:
    """What the catalogue says of items of a bucket that the fit did not see; None where there are none."""
    import polars as pl

    if ITEMS.name not in bucket:
        return None
    asked = events[ITEM_ID].cast(pl.String).unique().sort()
    asked = asked.filter(~asked.is_in(known.items.implode()))
    catalogue = bucket[ITEMS.name]
    asked = asked.filter(asked.is_in(catalogue[ITEM_ID].cast(pl.String).implode()))
    return described(ordered(catalogue, asked), known, speaks) if len(asked) else None


def arrays_of(state: State) -> dict[str, np.ndarray]:
    """The encoder's own arrays of a state."""
    return {n.removeprefix(ENCODER): value for n, value in state.arrays.items() if n.startswith(ENCODER)}
