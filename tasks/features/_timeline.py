"""Events of one bucket as arrays, user after user in order of time, and kernels over each user's run of rows.

Ingest leaves a bucket's events sorted by (user, timestamp, sequence), so a user is a run of neighbouring rows and every
sum is a reduction over a run. No kernel carries a number from one user into the next (no running sums), hence a user's
features are the same to the last bit alone, in a chunk, or in any bucket.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from schemas.tables import EVENTS, SEQUENCE, TIMESTAMP, USER_ID, VALUE, Bucket
from tasks.numerics.history import until

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Timeline:
    """Events known at `as_of`: n rows of m users, each user's rows together, by time and then sequence.

    Attributes:
        frame: (n,) rows of the events table, sorted.
        starts: (m,) int64 first row of each user.
        stamps: (n,) int64 microseconds since 1970 UTC.
    """

    frame: "pl.DataFrame"
    starts: np.ndarray
    stamps: np.ndarray

    @property
    def users(self) -> "pl.Series":
        """(m,) ids of the users, sorted."""
        return self.frame.get_column(USER_ID).gather(self.starts)

    @cached_property
    def ends(self) -> np.ndarray:
        """(m,) row after the last of each user."""
        return np.append(self.starts[1:], len(self.stamps))[: len(self.starts)]

    @cached_property
    def counts(self) -> np.ndarray:
        """(m,) events of each user, at least 1."""
        return self.ends - self.starts

    @cached_property
    def owner(self) -> np.ndarray:
        """(n,) position of each row's user."""
        return np.repeat(np.arange(len(self.starts)), self.counts)

    @cached_property
    def values(self) -> np.ndarray:
        """(n,) float64 values, NaN where there is none."""
        values = self.frame.get_column(VALUE).cast(float).fill_null(float("nan")).to_numpy()
        return np.where(np.isfinite(values), values, np.nan)

    def total(self, rows: np.ndarray) -> np.ndarray:
        """(m,) sum of `rows` (n,) over each user's rows, in order; booleans are counted."""
        return np.add.reduceat(rows.view(np.int8) if rows.dtype == bool else rows, self.starts, dtype=_wide(rows.dtype))

    def pairs(self, code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distinct (user, code) pairs, users ascending: (p,) position of the user, (p,) code, (p,) rows of the pair."""
        width = max(int(code.max(initial=0)).bit_length(), 1)
        keys = np.sort((self.owner << width) | code)
        heads = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
        keys, times = keys[heads], np.diff(np.append(heads, len(keys)))
        return keys >> width, keys & ((1 << width) - 1), times

    def codes(self, column: str) -> "tuple[np.ndarray, pl.Series]":
        """(n,) int64 codes of a string column and the strings they stand for; codes mean nothing outside the call."""
        return codes(self.frame.get_column(column))


def _wide(dtype: np.dtype) -> type:
    return np.float64 if dtype.kind == "f" else np.int64


def codes(column: "pl.Series") -> "tuple[np.ndarray, pl.Series]":
    """(n,) int64 codes of a string series and its distinct strings, in order of first appearance."""
    import polars as pl

    column = column.cast(pl.String)
    # A private set of categories: the global one would grow for as long as the process lives.
    code = column.cast(pl.Categorical(pl.Categories.random())).to_physical().cast(pl.Int64).to_numpy()
    first = np.zeros(int(code.max(initial=-1)) + 1, np.int64)
    first[code[::-1]] = np.arange(len(code) - 1, -1, -1)
    return code, column.gather(first)


def timeline(bucket: Bucket, as_of: datetime) -> Timeline:
    """The bucket's events not later than `as_of`, sorted here where ingest's order was lost (a hand-made bucket)."""
    frame = until(bucket[EVENTS.name], as_of)
    made = _unchecked(frame)
    return made if _sorted(made) else _unchecked(frame.sort(USER_ID, TIMESTAMP, SEQUENCE))


def _unchecked(frame: "pl.DataFrame") -> Timeline:
    import polars as pl

    users = frame.get_column(USER_ID)
    starts = np.flatnonzero((users != users.shift(1)).fill_null(True).to_numpy())
    stamps = frame.get_column(TIMESTAMP).cast(pl.Datetime("us", "UTC")).to_physical().to_numpy()
    return Timeline(frame, starts, stamps)


def _sorted(line: Timeline) -> bool:
    heads = line.users
    if not (heads.shift(1).fill_null("") <= heads).all() or heads.n_unique() < len(heads):
        return False
    step = np.diff(line.stamps)
    within = np.ones(len(step), bool)
    within[line.starts[1:] - 1] = False
    ties = np.flatnonzero(within & (step == 0))
    sequence = line.frame.get_column(SEQUENCE).to_numpy()
    return not (within & (step < 0)).any() and bool((sequence[ties + 1] >= sequence[ties]).all())


def sort_runs(values: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Sorts non-negative integers inside each run.

    Args:
        values: (n,) int64, from 0.
        owner: (n,) run of each row, ascending.

    Returns:
        (n,) int64, ascending inside each run. The run's number stands in the high bits of one int64 key, as many runs
        at a time as fit: one flat integer sort is ten times faster than sorting by two columns.
    """
    bits = max(int(values.max(initial=0)).bit_length(), 1)
    runs = 1 << (62 - bits)
    out = np.empty_like(values)
    for low in range(0, int(owner[-1]) + 1 if len(owner) else 0, runs):
        start, end = np.searchsorted(owner, [low, low + runs])
        keys = np.sort(((owner[start:end] - low) << bits) | values[start:end])
        out[start:end] = keys & ((1 << bits) - 1)
    return out
