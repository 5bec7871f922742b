"""What a user is recommended, as published."""

from typing import TYPE_CHECKING

from schemas.recommended import NONE_LEFT, OWN, SEGMENT, UNASSIGNED, Suggested, Suggestions
from schemas.tables import (
    AS_OF,
    ASSIGNMENTS,
    ITEM_ID,
    MODEL_VERSION,
    NAME,
    RANK,
    REASON,
    RECOMMENDATIONS,
    SCORE,
    SEGMENT_ID,
    SEGMENTS,
    USER_ID,
    USER_RECOMMENDATIONS,
)
from tasks.cleaning.ids import one_id
from tasks.registry.readers import Snapshot, snapshot
from tasks.stores import tables

if TYPE_CHECKING:
    import polars as pl

UNKNOWN = "nobody is published under this id: the list of users without a segment"


def for_user(home: str, segmentation: str, user_id: str) -> Suggestions:
    """The published list of a user: an own one where there is one, else that of the user's segment.

    Raises:
        UsageError: nothing is live.
        DataError: nothing is recommended by what is live, or nobody can have this id.
    """
    import polars as pl

    seen, user_id = snapshot(home, segmentation), one_id(user_id, "the user's id")
    whole = seen.table(RECOMMENDATIONS.name)
    row = seen.table(ASSIGNMENTS.name).filter(pl.col(USER_ID) == user_id)
    segment, since = (None, None) if row.is_empty() else row.select(SEGMENT_ID, AS_OF).row(0)
    own = _own(seen, user_id)
    before = since is not None and since <= whole[AS_OF][0]  # who came later was not looked at
    found = whole.filter(pl.col(SEGMENT_ID).eq_missing(pl.lit(segment, pl.String)))
    list_of, why = ("everybody", UNKNOWN if since is None else UNASSIGNED) if segment is None else ("segment", SEGMENT)
    if own is not None and (len(own) or before):
        found, list_of, why = own, "user", OWN if len(own) else NONE_LEFT
    names = dict(seen.table(SEGMENTS.name).select(SEGMENT_ID, NAME).iter_rows())
    told = found.sort(RANK).select(RANK, ITEM_ID, SCORE, REASON)
    return Suggestions(
        user_id=user_id,
        known=since is not None,
        list_of=list_of,
        segment_id=segment,
        name=names.get(segment),
        why=why,
        model_version=whole[MODEL_VERSION][0],
        as_of=whole[AS_OF][0],
        items=tuple(Suggested(**one) for one in told.iter_rows(named=True)),
    )


def _own(seen: Snapshot, user_id: str) -> "pl.DataFrame | None":
    """A user's rows of the lists of users, which are not brought to memory whole; None: there are no such lists."""
    name, place = USER_RECOMMENDATIONS.name, (seen.home, seen.segmentation)
    if name not in seen.live.tables:
        return None
    tables.check(*place, name, seen.live)
    rows = tables.rows_of(*place, name, seen.live.tables[name], {USER_ID: [user_id]})
    return tables.own(rows, seen.segmentation, name, seen.live)
