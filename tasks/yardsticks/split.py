"""A history cut in two: what recommenders learn from, and what they are measured on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from schemas.evaluation import HeldOut
from schemas.interactions import Interactions, Items
from schemas.tables import EVENT, EVENTS, TIMESTAMP
from tasks.numerics.hits import clean
from tasks.stores.buckets import Refs, read_frames

if TYPE_CHECKING:
    import scipy.sparse as sp

DATED = 0.8
"""Share of all choices that come before the date that splits them."""


@dataclass(frozen=True)
class Split:
    """Users before and after the cut.

    Attributes:
        train: Histories of n users up to the cut.
        test: (n, items) CSR as `tasks.numerics.hits.clean` leaves it, 1 where a user's held-out events hold an item
            that can be recommended.
        asked: (m,) row numbers of the users to whom items are recommended.
        items: What is known of the items.
        top_n: Items recommended to each user.
        repeats: Whether items that a user had before stay in the lists.
    """

    train: Interactions
    test: "sp.csr_matrix"
    asked: np.ndarray
    items: Items
    top_n: int
    repeats: bool = False

    def known(self) -> np.ndarray:
        """(m,) events of each asked user before the cut: what a user is called thin or warm by."""
        return np.asarray(self.train.counts.sum(axis=1)).ravel()[self.asked]

    @cached_property
    def wanted(self) -> "sp.csr_matrix":
        """(m, items) what the asked users did after the cut."""
        return self.test[self.asked]

    @cached_property
    def catalogue(self) -> int:
        """Distinct items in the data."""
        return len(np.union1d(self.train.counts.indices, self.test.indices))

    @cached_property
    def cold(self) -> np.ndarray:
        """(items,) bool: nobody had touched it before the cut."""
        return self.train.counts.getnnz(axis=0) == 0

    def counts(self) -> dict[str, int]:
        """Asked users and what they did after the cut, warm and cold."""
        known, wanted, cold = self.known() > 0, self.wanted, self.cold
        told = np.diff(wanted.indptr) > 0
        late = int(cold[wanted.indices].sum())
        return {
            "warm_users": int((known & told).sum()),
            "cold_users": int((~known & told).sum()),
            "warm_items_held_out": wanted.nnz - late,
            "cold_items_held_out": late,
        }


def split_of(held: HeldOut, items: Items, top_n: int, repeats: bool, everyone: bool) -> Split:
    """Held-out interactions as a split.

    Args:
        held: Before and after the cut.
        items: What is known of its items.
        top_n: Items recommended to each user.
        repeats: Whether items that a user had before are recommended again.
        everyone: Ask all users; else only those with something to find.
    """
    test = clean(held.test)
    asked = np.arange(test.shape[0]) if everyone else np.flatnonzero(np.diff(test.indptr))
    return Split(held.train, test, asked, items, top_n, repeats)


def turning_point(tables: Refs, share: float, choices: Sequence[str] = ()) -> datetime | None:
    """The moment up to which a share of all choices was made; None where there are none, or nothing comes after it."""
    import polars as pl

    from tasks.numerics.interactions import chosen

    if EVENTS.name not in tables:
        return None
    frames = [chosen(frame, choices)[TIMESTAMP] for frame in read_frames(tables[EVENTS.name], (EVENT, TIMESTAMP))]
    stamps = pl.concat(frames).sort()
    moment = stamps[int(share * (len(stamps) - 1))] if len(stamps) else None
    return None if moment is None or stamps[-1] <= moment else moment
