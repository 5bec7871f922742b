"""What stands twice in a table: rows that say the same as another row, and users with the history of another user.

Repeats are legal (a purchase can be made again), and so are twins; that there are suddenly many more of either means
that an export was delivered twice, or its users under a second id.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from schemas.tables import BUCKETED, Table
from tasks.numerics.keys import row_hashes

if TYPE_CHECKING:
    import polars as pl

LONG = 3
"""Rows of a history that is looked at: shorter ones are alike by chance."""
SAMPLE = 10_000
_ROW = "row"


def repeated(frame: "pl.DataFrame") -> int:
    """Rows that are equal to an earlier one in all that the source says; its row number tells nothing."""
    return len(frame) - row_hashes(frame).n_unique() if len(frame) else 0


def histories(frame: "pl.DataFrame", table: Table) -> dict[str, int]:
    """Histories of at least `LONG` rows, as hashes, and how many users have each.

    Equal histories have equal hashes wherever their users stand, so the smallest hashes are a sample of histories that
    holds all users of each of them: see `smallest`.
    """
    import polars as pl

    owner = BUCKETED[table.name]
    if owner not in frame.columns or not len(frame):
        return {}
    own = frame.select(pl.col(owner), row_hashes(frame.drop(owner)).alias(_ROW))
    long = own.group_by(owner).agg(pl.col(_ROW).sum(), pl.len().alias("n")).filter(pl.col("n") >= LONG)
    counted = long[_ROW].value_counts(name="users").sort(_ROW).head(SAMPLE)
    return {f"{value:020d}": users for value, users in counted.iter_rows()}


def smallest(found: Mapping[str, int]) -> dict[str, int]:
    """The sample that `histories` takes, of a whole table as of one of its buckets."""
    return {name: found[name] for name in sorted(found)[:SAMPLE]}


def copied(found: Mapping[str, int]) -> float:
    """Share of the users whose history another user has already."""
    return 1 - len(found) / max(sum(found.values()), 1) if found else 0.0
