"""What is recommended online: by the batch's own fit, which is made again from what it was fitted on."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from schemas.errors import DataError
from schemas.interactions import Interactions
from schemas.limits import MAX_RECOMMENDED
from schemas.recommended import LISTS, NONE_LEFT, OWN, SEGMENT, UNASSIGNED, WHY, Basis
from schemas.tables import (
    EVENTS,
    ITEM_ID,
    RANK,
    REASON,
    RECOMMENDATIONS,
    REMADE,
    SCORE,
    SEGMENT_ID,
    USER_ID,
    USER_RECOMMENDATIONS,
    Bucket,
)
from tasks.histories import kept as bases
from tasks.histories.evidence import Evidence, evidence
from tasks.plugins.find import module_of, plugin, restored
from tasks.ranking.ruled import ruled
from tasks.stores import pointer, tables

if TYPE_CHECKING:
    import polars as pl

SENT = "by what was sent"
LATER = "of this user nothing was known when the lists were made: "


def fit(basis: Basis) -> Any:
    """The fitted recommender of a basis: the same from the same, in training and online.

    Raises:
        UsageError: its config is of another version.
        DataError: it cannot be fitted on this.
    """
    chosen, told = basis.chosen, basis.terms.recommender
    config = restored(plugin("recommenders", told["kind"]).Config, told, "recommender")
    rng = np.random.default_rng(basis.terms.seed)
    return ruled(
        module_of("recommenders", config).fit(chosen.interactions, basis.items, chosen.labels, config, rng), basis
    )


def wanted(recommend: Any, users: int) -> int:
    """How many items a request asks for, for each of its users; 0 where it asks for none.

    Raises:
        DataError: it is no such number, or together they are more than one answer may hold.
    """
    if recommend is None:
        return 0
    if isinstance(recommend, bool) or not isinstance(recommend, int | np.integer) or recommend < 0:
        raise DataError(f"request: recommend has to be a number of items, 0 or more, not {str(recommend)[:40]!r}")
    if recommend * max(users, 1) > MAX_RECOMMENDED:
        told = f"{recommend:,} items for each of {users:,} users"
        raise DataError(f"request: {told}; ask for at most {MAX_RECOMMENDED:,} items at once")
    return int(recommend)


class Shelf(NamedTuple):
    """What is recommended by the lists of a champion.

    Attributes:
        home: The state folder.
        segmentation: Whose champion.
        live: The champion.
        basis: What the recommender was fitted on.
        fitted: The recommender.
        shared: The published lists of segments, and of users without one.
        why: What is told of the items; None: what is kept is of an earlier version, and names no segments.
    """

    home: str
    segmentation: str
    live: pointer.Live
    basis: Basis
    fitted: Any
    shared: "pl.DataFrame"
    why: Evidence | None

    def of_sent(self, bucket: Bucket, assigned: "pl.DataFrame", when: datetime, n: int) -> "pl.DataFrame":
        """Lists of users who were sent with what is known of them.

        Args:
            bucket: Their tables.
            assigned: Where they belong; a row each.
            when: The moment to look at.
            n: Items wanted.
        """
        import polars as pl

        terms, users = self.basis.terms, assigned[USER_ID]
        if not len(users):
            return _frame(users, pl.DataFrame(schema=_schema()), SENT)
        place = {name: label for label, name in enumerate(terms.segments)}
        labels = np.array([place.get(name, -1) for name in assigned[SEGMENT_ID]], np.int64)
        own = self.fitted.of(self._histories(bucket, users, when), labels)
        found = own.recommend(np.arange(len(users)), n, terms.exclude_seen)
        return _frame(users, self._rows(users, labels, *found), SENT)

    def by_id(self, assigned: "pl.DataFrame", n: int) -> "pl.DataFrame":
        """Lists of users of whom nothing but the id was sent.

        That of the batch, where the user was known to it; else that of the segment.

        Args:
            assigned: What is published of them; a row each.
            n: Items wanted.
        """
        import polars as pl

        known = pl.DataFrame({USER_ID: self.basis.chosen.users}).with_row_index("row")
        placed = assigned.select(USER_ID, SEGMENT_ID).join(known, on=USER_ID, how="left", maintain_order="left")
        ours, others = (placed.filter(pl.col("row").is_null() == late) for late in (False, True))
        users = ours[USER_ID]
        published = self._published(users.to_list(), n) if len(users) else pl.DataFrame(schema=_schema())
        if published is None:
            own = ours["row"].to_numpy()
            found = self.fitted.recommend(own, n, self.basis.terms.exclude_seen)
            published = self._rows(users, self.basis.chosen.labels[own], *found)
        return pl.concat([_frame(users, published, OWN), self._later(others, n)])

    def _later(self, placed: "pl.DataFrame", n: int) -> "pl.DataFrame":
        """The lists of their segments for users whom the batch did not know."""
        import polars as pl

        top = self.shared.filter(pl.col(RANK) <= n).sort(RANK)
        rows = placed.select(USER_ID, SEGMENT_ID).join(
            top, on=SEGMENT_ID, nulls_equal=True, maintain_order="left_right"
        )
        words = (
            pl.when(pl.col(SEGMENT_ID).is_null()).then(pl.lit(LATER + UNASSIGNED)).otherwise(pl.lit(LATER + SEGMENT))
        )
        return _frame(placed[USER_ID], rows, "").with_columns(placed.select(words.alias(WHY))[WHY])

    def _published(self, ids: list[str], n: int) -> "pl.DataFrame | None":
        """Rows of the published lists of users; None where there are none, or they are shorter than what is wanted."""
        import polars as pl

        name = USER_RECOMMENDATIONS.name
        if name not in self.live.tables or n > self.basis.terms.n:
            return None
        rows = tables.rows_of(self.home, self.segmentation, name, self.live.tables[name], {USER_ID: ids})
        return rows.filter(pl.col(RANK) <= n).sort(USER_ID, RANK)

    def _histories(self, bucket: Bucket, users: "pl.Series", when: datetime) -> Interactions:
        """What the users of a request chose among the items of the fit, up to a moment."""
        from tasks.numerics.history import MICROSECONDS_PER_DAY, microseconds, until
        from tasks.numerics.interactions import cells, chosen, interactions_of

        items = self.basis.chosen.items
        own = chosen(until(bucket[EVENTS.name], when), self.basis.terms.events)
        moment = microseconds(when) / MICROSECONDS_PER_DAY
        return interactions_of([cells(own, users, items)], len(users), len(items), moment)

    def _rows(self, users: "pl.Series", labels: np.ndarray, items: np.ndarray, scores: np.ndarray) -> "pl.DataFrame":
        """A row for each item on the lists of (m,) users.

        Args:
            users: Their ids.
            labels: (m,) segments of theirs, −1 for none.
            items: (m, n) column numbers, −1 for none.
            scores: (m, n) of the items.
        """
        import polars as pl

        at, rank = np.nonzero(items >= 0)
        chosen = items[at, rank]
        told = [None] * len(at) if self.why is None else self.why.words(labels[at], chosen)
        ids = self.basis.chosen.items.gather(chosen)
        columns = {USER_ID: users.gather(at), ITEM_ID: ids, SCORE: scores[at, rank], REASON: told}
        return pl.DataFrame(columns, schema=_schema())


def shelf(home: str, segmentation: str, live: pointer.Live) -> Shelf:
    """What is recommended by the lists of a champion, its recommender fitted.

    Raises:
        DataError: nothing is recommended by it, or what is kept of its lists is damaged.
    """
    place = (home, segmentation)
    shared = tables.read_live(*place, RECOMMENDATIONS.name, live)
    for name in {*REMADE} & live.tables.keys():
        tables.check(*place, name, live)
    basis = bases.read_live(*place, live)
    why = evidence(basis) if len(basis.terms.names) == len(basis.terms.segments) else None
    return Shelf(*place, live, basis, fit(basis), shared.select(SEGMENT_ID, RANK, ITEM_ID, SCORE, REASON), why)


def _schema() -> dict[str, Any]:
    """Columns of rows that become lists."""
    known = USER_RECOMMENDATIONS.polars_schema()
    return {name: known[name] for name in (USER_ID, ITEM_ID, SCORE, REASON)}


def _frame(users: "pl.Series", rows: "pl.DataFrame", why: str) -> "pl.DataFrame":
    """One row for each user, with the list of rows in their order; an empty one says why."""
    import polars as pl

    empty = pl.lit([], pl.List(pl.Struct({name: dtype for name, dtype in _schema().items() if name != USER_ID})))
    lists = rows.group_by(USER_ID, maintain_order=True).agg(pl.struct(ITEM_ID, SCORE, REASON).alias(LISTS))
    joined = users.to_frame().join(lists, on=USER_ID, how="left", maintain_order="left")
    full = joined.with_columns(pl.col(LISTS).fill_null(empty))
    told = pl.when(pl.col(LISTS).list.len() > 0).then(pl.lit(why)).otherwise(pl.lit(NONE_LEFT))
    return full.with_columns(told.alias(WHY))
