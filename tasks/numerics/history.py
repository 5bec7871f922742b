"""What was known when: histories up to a moment, and cut at a moment of each user's own.

The cut is the most important rule of every held-out figure, so it stands here alone. A user's events are ordered by
time, ties by sequence; the first ones stay, and the time of the last that stays is the user's own moment. Of all tables
what is later than it goes: texts later than their writer's moment, ties later than either end's. Whatever counts back
from the present counts from it, so a user who was cut looks as the user did then, and nothing that came after the cut
changes anything that is fitted. Tables without times (items, attributes of users) are taken as always known.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas.errors import DataError, UsageError
from schemas.tables import DST, EVENTS, MOMENTS, SEQUENCE, SRC, TEXTS, TIMESTAMP, USER_ID, USERS, Bucket

if TYPE_CHECKING:
    import polars as pl

MICROSECONDS_PER_DAY = 86_400_000_000
Keep = Callable[[np.ndarray], np.ndarray]
"""(m,) rows of each user -> (m,) how many of them, the first ones, stay; a fraction of a row is a whole one."""


def microseconds(moment: datetime) -> int:
    """A moment in microseconds since 1970 UTC, exactly; a naive datetime is refused, for it may mean any zone."""
    if moment.tzinfo is None:
        raise UsageError(f"as_of {moment.isoformat()} has no time zone: give it in UTC, such as 2026-01-31T00:00:00Z")
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def until(frame: "pl.DataFrame", as_of: datetime) -> "pl.DataFrame":
    """Rows not later than `as_of`, in their order; a row without a timestamp is always known (edges)."""
    limit = microseconds(as_of)
    stamps = frame.get_column(TIMESTAMP)
    if not stamps.len() or stamps.null_count() == stamps.len():
        return frame
    known = physical(stamps)
    latest = known.max()
    if isinstance(latest, int) and latest <= limit:
        return frame
    return frame.filter((known <= limit) | known.is_null())


def population(bucket: Bucket, as_of: datetime | None = None) -> "pl.Series":
    """The bucket's users: distinct ids over events, users and texts, sorted.

    With `as_of`, only users known by then: one whose every event and text is later, and who stands in no users table,
    does not exist yet. Families call it with `as_of`, so that the future adds not even a row.
    """
    import polars as pl

    ids = [pl.Series(USER_ID, [], dtype=pl.String)]
    for table in (EVENTS.name, TEXTS.name, USERS.name):
        if table in bucket:
            frame = bucket[table]
            frame = until(frame, as_of) if as_of is not None and TIMESTAMP in frame.columns else frame
            ids.append(_runs(frame.get_column(USER_ID)))
    return pl.concat(ids).unique().sort().alias(USER_ID)


def _runs(ids: "pl.Series") -> "pl.Series":
    """First id of each run: a sorted table shrinks to its users before anything is hashed."""
    import polars as pl

    ids = ids.cast(pl.String)
    return ids.filter(ids.ne_missing(ids.shift(1))) if ids.len() > 1 else ids


def clock(bucket: Bucket, users: "pl.Series", as_of: datetime) -> np.ndarray:
    """(n,) int64 microseconds since 1970: what each of `users` (n,) counts as the present.

    The user's own moment where the bucket was cut, `as_of` elsewhere.
    """
    import polars as pl

    now = microseconds(as_of)
    if MOMENTS.name not in bucket:
        return np.full(len(users), now, np.int64)
    own = bucket[MOMENTS.name].select(USER_ID, physical(bucket[MOMENTS.name][TIMESTAMP]).alias("now"))
    asked = pl.DataFrame({USER_ID: users.cast(pl.String)})
    return asked.join(own, on=USER_ID, how="left", maintain_order="left")["now"].fill_null(now).to_numpy()


def between(events: "pl.DataFrame", low: float, high: float) -> "pl.DataFrame":
    """The events between two shares of each user's own history.

    A user's n events are ordered by timestamp, ties by sequence (and then by row), and ranked 0..n-1; an event is kept
    where low·n <= rank < high·n. So (0, 0.8) trains, (0.8, 1) tests, and (0.7, 0.8) validates a model of (0, 0.7).

    Args:
        events: Table events, or texts (which have no sequence); all rows of a user must be in it.
        low: Share of the history at which the slice begins, in [0, 1).
        high: Share at which it ends, in (low, 1].

    Returns:
        The kept rows, ordered by user, and each user's by time: as ingest leaves them, so that then nothing is sorted.

    Raises:
        DataError: The shares are not 0 <= low < high <= 1.
    """
    import polars as pl

    if not 0 <= low < high <= 1:
        raise DataError(f"slice of events: expected 0 <= low < high <= 1, got {low} and {high}")
    line = _ranked(events)
    n = line.n[line.user]
    return line.rows.filter(pl.Series((line.rank >= low * n) & (line.rank < high * n), dtype=pl.Boolean))


def share(high: float) -> Keep:
    """The first `high` share of everyone's history stays."""
    return lambda n: high * n


def first(count: int) -> Keep:
    """The first `count` rows of everyone's history stay."""
    return lambda n: np.full(len(n), float(count))


def cut(bucket: Bucket, keep: Keep, as_of: datetime) -> "dict[str, pl.DataFrame]":
    """The bucket as its users were known at a moment of each one's own, which stands in the table `moments`.

    A user of whom no event stays is cut in the texts, of which one stays at least; who has none either was last seen
    just before the first event. Ties are left as they are, because their other ends may stand in another bucket: see
    `ties`.

    Args:
        bucket: Tables by name.
        keep: How much of each history stays: see `share` and `first`.
        as_of: What is later counts as nobody's history.
    """
    import polars as pl

    out = dict(bucket)
    moments = pl.DataFrame(schema=MOMENTS.polars_schema())
    if EVENTS.name in bucket:
        out[EVENTS.name], moments = _first_rows(until(bucket[EVENTS.name], as_of), keep)
    if TEXTS.name in bucket:
        texts = until(bucket[TEXTS.name], as_of)
        seen = out[EVENTS.name][USER_ID].unique() if EVENTS.name in out else moments[USER_ID]
        silent = texts.filter(~pl.col(USER_ID).is_in(seen.implode()))
        written = _first_rows(silent, lambda n: np.maximum(keep(n), 1))[1]
        moments = pl.concat([moments.join(written, on=USER_ID, how="anti"), written])
        known = texts.join(moments.rename({TIMESTAMP: "end"}), on=USER_ID, how="left", maintain_order="left")
        out[TEXTS.name] = known.filter(pl.col(TIMESTAMP) <= pl.col("end")).drop("end")
    return {**out, MOMENTS.name: moments.sort(USER_ID)}


def ties(edges: "pl.DataFrame", moments: "pl.DataFrame") -> "pl.DataFrame":
    """The ties that are later than the moment of neither end; without a time, or where no end has a moment, all are.

    Args:
        edges: Table edges, or a part of it.
        moments: The moments of all users.
    """
    import polars as pl

    found = edges
    for end in (SRC, DST):
        own = moments.rename({USER_ID: end, TIMESTAMP: f"{end} end"})
        found = found.join(own, on=end, how="left", maintain_order="left")
    late = pl.any_horizontal((pl.col(TIMESTAMP) > pl.col(f"{end} end")).fill_null(False) for end in (SRC, DST))
    return found.filter(~late).select(edges.columns)


class _Ranked(NamedTuple):
    """Rows in order of user and time, the user of each, its rank among the user's rows, and (m,) rows per user."""

    rows: "pl.DataFrame"
    user: np.ndarray
    rank: np.ndarray
    n: np.ndarray


def _ranked(frame: "pl.DataFrame") -> _Ranked:
    order = [USER_ID, *(column for column in (TIMESTAMP, SEQUENCE) if column in frame.columns)]
    rows = frame if _in_order(frame, order) else frame.sort(order, maintain_order=True)
    user = rows[USER_ID].rle_id().to_numpy()
    n = np.bincount(user)
    return _Ranked(rows, user, np.arange(len(user)) - (np.cumsum(n) - n)[user], n)


def _first_rows(frame: "pl.DataFrame", keep: Keep) -> "tuple[pl.DataFrame, pl.DataFrame]":
    """The first rows of each user, and the moments of the last of them, or just before the first where none stays."""
    import polars as pl

    line = _ranked(frame)
    kept = np.clip(np.ceil(keep(line.n)), 0, line.n).astype(np.int64)
    starts = np.cumsum(line.n) - line.n
    last = starts + np.maximum(kept - 1, 0)
    stamps = physical(line.rows[TIMESTAMP]).to_numpy()
    moments = pl.Series(TIMESTAMP, stamps[last] - (kept == 0)).cast(pl.Datetime("us", "UTC"))
    users = line.rows[USER_ID].gather(starts)
    own = pl.DataFrame([users, moments], schema=MOMENTS.polars_schema())
    return line.rows.filter(pl.Series(line.rank < kept[line.user], dtype=pl.Boolean)), own


def physical(stamps: "pl.Series") -> "pl.Series":
    """Times as whole microseconds since 1970 UTC."""
    import polars as pl

    return stamps.cast(pl.Datetime("us", "UTC")).to_physical()


def _in_order(frame: "pl.DataFrame", order: list[str]) -> bool:
    """Whether the rows stand in the order of the columns, the first of which weighs most."""
    tied, sorted_so_far = np.ones(max(len(frame) - 1, 0), bool), True
    for column in order:
        after, before = frame[column][1:], frame[column][:-1]
        sorted_so_far = sorted_so_far and not (tied & (after < before).to_numpy()).any()
        tied &= (after == before).to_numpy()
    return sorted_so_far
