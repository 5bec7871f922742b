"""Events of one bucket as histories in order of time, in codes of a vocabulary."""

from typing import TYPE_CHECKING

import numpy as np

from schemas.sequences import Sequences
from schemas.tables import EVENT, ITEM_ID, SEQUENCE, TIMESTAMP, USER_ID
from tasks.numerics.history import MICROSECONDS_PER_DAY, physical
from tasks.numerics.keys import locate

if TYPE_CHECKING:
    import polars as pl


def sequences(events: "pl.DataFrame", items: "pl.Series", kinds: "pl.Series") -> "tuple[pl.Series, Sequences]":
    """The histories of the users of some events.

    Args:
        events: Table events, or rows of it; all of a user's must be there.
        items: (m,) ids by code, distinct; other items get −1.
        kinds: Names of events by code, distinct; likewise.

    Returns:
        (n,) ids of the users, sorted, and their histories.
    """
    rows = events.sort(USER_ID, TIMESTAMP, SEQUENCE)
    users = rows[USER_ID].cast(str)
    starts = np.append(np.flatnonzero((users != users.shift(1)).fill_null(True).to_numpy()), len(rows))
    item, kind = locate(items, rows[ITEM_ID].cast(str)), locate(kinds, rows[EVENT].cast(str))
    times = physical(rows[TIMESTAMP]).to_numpy() / MICROSECONDS_PER_DAY
    return users.gather(starts[:-1]), Sequences(starts, item, kind, times)
