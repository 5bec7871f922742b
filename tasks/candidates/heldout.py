"""Held-out interactions, and where users stand whose recommendations are measured by them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from schemas.artifacts import ArtifactRef
from schemas.evaluation import HeldOut
from schemas.runs import SliceName
from schemas.tables import EVENT, EVENTS, ITEM_ID, SEQUENCE, TIMESTAMP, USER_ID
from tasks.numerics.history import MICROSECONDS_PER_DAY, between, microseconds, until
from tasks.numerics.interactions import binary, cells, chosen, interactions_of
from tasks.stores.buckets import Refs, read_frames

if TYPE_CHECKING:
    import polars as pl

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

    if EVENTS.name not in tables:
        return None
    low, high = window

    def parts(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        late = between(frame, low, high)
        return between(frame, 0.0, low), late if after is None else late.filter(pl.col(TIMESTAMP) > after)

    return _held(tables[EVENTS.name], users, choices, parts)


def heldout_after(tables: Refs, users: "pl.Series", moment: datetime, choices: Sequence[str] = ()) -> HeldOut:
    """Choices up to a moment, the same for everybody, and after it; see `heldout`."""
    import polars as pl

    def parts(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        return until(frame, moment), frame.filter(pl.col(TIMESTAMP) > moment)

    return _held(tables[EVENTS.name], users, choices, parts, microseconds(moment) / MICROSECONDS_PER_DAY)


def _held(
    events: ArtifactRef,
    users: "pl.Series",
    choices: Sequence[str],
    parts: "Callable[[pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]]",
    moment: float | None = None,
) -> HeldOut:
    """Choices of both parts, bucket by bucket; a known one that is later than the moment is refused."""
    items, trained, tested = choosable(events, choices), [], []
    for frame in read_frames(events, (USER_ID, ITEM_ID, EVENT, TIMESTAMP, SEQUENCE)):
        early, late = (cells(chosen(part, choices), users, items) for part in parts(frame))
        trained.append(early)
        tested.append(late)
    shape = len(users), len(items)
    known = interactions_of(trained, *shape, moment)
    return HeldOut(known, binary(interactions_of(tested, *shape)), items.to_numpy())


def choosable(events: ArtifactRef, choices: Sequence[str] = ()) -> "pl.Series":
    """Ids of the items that somebody chose, sorted."""
    import polars as pl

    frames = read_frames(events, (ITEM_ID, EVENT))
    return pl.concat([chosen(frame, choices)[ITEM_ID].unique() for frame in frames]).unique().sort()


def can_hit(tables: Refs, window: Window, choices: Sequence[str] = ()) -> bool:
    """Whether a choice in a slice could be hit: of an item new to the user, which somebody chose before; see `heldout`.

    It ends with the first bucket that shows one.
    """
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
