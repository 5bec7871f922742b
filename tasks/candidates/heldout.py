"""Held-out interactions, and where users stand whose recommendations are measured by them."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from schemas.evaluation import HeldOut
from schemas.runs import SliceName
from schemas.tables import EVENT, EVENTS, ITEM_ID, SEQUENCE, TIMESTAMP, USER_ID
from tasks.stores.buckets import Refs, read_frames

if TYPE_CHECKING:
    import polars as pl

DATED = 0.8
"""Share of all choices that come before the date that splits them."""
SHARES: dict[SliceName, float] = {"all": 1.0, "choosing": 0.7, "proving": 0.8}
"""How much of each history the vectors of a slice are fitted on."""
Window = tuple[float, float]
"""Share of each history that trains, and the share at which what is held out ends."""
VALIDATION, TEST = (0.7, 0.8), (0.8, 1.0)
"""Slices of everyone's history: candidates are chosen on the first and only reported and gated on the second."""


def heldout(
    tables: Refs, users: "pl.Series", window: Window, choices: Sequence[str] = (), after: datetime | None = None
) -> HeldOut | None:
    """Choices before and in a slice of everyone's history; None where there are no events.

    A history is cut where all of its events are, whatever their names: at the moment that the features are cut at.

    Args:
        tables: Input tables, whole.
        users: Ids of the rows, in order and distinct.
        window: Where it begins and ends, such as (0.8, 1).
        choices: Names of the events that train and are held out; none: of all events.
        after: Of the held-out events only those later than this count; None: all.
    """
    import polars as pl

    from tasks.numerics.history import between
    from tasks.numerics.interactions import binary, cells, chosen, interactions_of

    if EVENTS.name not in tables:
        return None
    events, (low, high) = tables[EVENTS.name], window
    seen = [chosen(frame, choices).select(ITEM_ID).unique() for frame in read_frames(events, (ITEM_ID, EVENT))]
    items = pl.concat(seen)[ITEM_ID].unique().sort()
    trained, tested = [], []
    for frame in read_frames(events, (USER_ID, ITEM_ID, EVENT, TIMESTAMP, SEQUENCE)):
        trained.append(cells(chosen(between(frame, 0.0, low), choices), users, items))
        late = chosen(between(frame, low, high), choices)
        tested.append(cells(late if after is None else late.filter(pl.col(TIMESTAMP) > after), users, items))
    shape = len(users), len(items)
    return HeldOut(interactions_of(trained, *shape), binary(interactions_of(tested, *shape)), items.to_numpy())


def heldout_after(tables: Refs, users: "pl.Series", moment: datetime, choices: Sequence[str] = ()) -> HeldOut:
    """Choices up to a moment, the same for everybody, and after it; see `heldout`."""
    import polars as pl

    from tasks.numerics.history import MICROSECONDS_PER_DAY, microseconds, until
    from tasks.numerics.interactions import binary, cells, chosen, interactions_of

    columns = (USER_ID, ITEM_ID, EVENT, TIMESTAMP)
    frames = [chosen(frame, choices) for frame in read_frames(tables[EVENTS.name], columns)]
    items = pl.concat([frame.select(ITEM_ID).unique() for frame in frames])[ITEM_ID].unique().sort()
    trained = [cells(until(frame, moment), users, items) for frame in frames]
    tested = [cells(frame.filter(pl.col(TIMESTAMP) > moment), users, items) for frame in frames]
    shape = len(users), len(items)
    known = interactions_of(trained, *shape, microseconds(moment) / MICROSECONDS_PER_DAY)  # refuses what is later
    return HeldOut(known, binary(interactions_of(tested, *shape)), items.to_numpy())


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


def can_hit(tables: Refs, window: Window, choices: Sequence[str] = ()) -> bool:
    """Whether a choice in a slice could be hit: of an item new to the user, which somebody chose before; see `heldout`.

    It ends with the first bucket that shows one.
    """
    from tasks.numerics.history import between
    from tasks.numerics.interactions import chosen

    if EVENTS.name not in tables:
        return False
    known, wanted = set[str](), set[str]()
    for frame in read_frames(tables[EVENTS.name], (USER_ID, ITEM_ID, EVENT, TIMESTAMP, SEQUENCE)):
        early, late = (chosen(between(frame, *part), choices) for part in ((0.0, window[0]), window))
        known.update(early[ITEM_ID].unique())
        wanted.update(late.join(early, on=[USER_ID, ITEM_ID], how="anti")[ITEM_ID].unique())
        if not known.isdisjoint(wanted):
            return True
    return False
