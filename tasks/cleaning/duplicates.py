"""Rows that say the same twice, and rows that contradict each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from schemas.tables import BUCKETED, SEQUENCE, Table

if TYPE_CHECKING:
    import polars as pl


class Deduplicated(NamedTuple):
    """What is left: `kept` in the order it came, `dropped` rows counted, `conflicts` as rows of the input."""

    kept: "pl.DataFrame"
    dropped: int
    conflicts: "pl.DataFrame"


def deduplicate(
    frame: "pl.DataFrame",
    table: Table,
    repeats: Literal["keep", "drop"] = "keep",
    key: Sequence[str] = (),
    hidden: Sequence[str] = (),
) -> Deduplicated:
    """Drops rows identical in all source columns and sets aside rows that have an earlier row's key but other values.

    Identical rows are errors only where the table (or the source) has a key or `repeats` is `drop`: a customer may
    well buy the same thing twice.

    Args:
        frame: Rows of one bucket in the order of the source.
        table: The table's contract.
        repeats: Whether identical rows without a key are legal.
        key: Columns that the source declares unique together within a user; empty: the table's own key. The user counts
            as part of it, or the outcome would depend on who shares a bucket.
        hidden: Columns of ours that are no values of the source.
    """
    owner = BUCKETED.get(table.name)
    keys = tuple(dict.fromkeys([owner, *key] if owner else key)) if key else table.key
    if not keys and repeats == "keep":
        return Deduplicated(frame, 0, frame.clear())
    values = [name for name in frame.columns if name not in (*hidden, SEQUENCE)]
    distinct = frame.unique(subset=values, keep="first", maintain_order=True)
    dropped = len(frame) - len(distinct)
    if not keys:
        return Deduplicated(distinct, dropped, frame.clear())
    first = distinct.select(keys).is_duplicated()
    if not first.any():
        return Deduplicated(distinct, dropped, frame.clear())
    indexed = distinct.with_row_index("__at")
    kept = indexed.unique(subset=keys, keep="first", maintain_order=True)
    conflicts = indexed.join(kept, on="__at", how="anti", maintain_order="left")
    return Deduplicated(kept.drop("__at"), dropped, conflicts.drop("__at"))
