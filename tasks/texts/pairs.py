"""Pairs of texts that one user took or wrote within some days: what a language model is tuned on and judged by.

Users have more pairs than anybody can read, so pairs are drawn: the same number of draws for each user, a row and
another one within the window, and of all pairs those with the smallest hashes are kept. What is drawn of a user depends
on the seed and on that user's rows alone, so that buckets may be merged in any order (a bottom-k sketch, Cohen and
Kaplan 2007, "Summarizing data using bottom-k sketches"). A pair stands once for each user who had it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np

from schemas.artifacts import State
from schemas.config import TextsConfig
from schemas.tables import SEQUENCE, TEXT, TIMESTAMP, USER_ID, WEIGHT, Bucket
from tasks.numerics.history import MICROSECONDS_PER_DAY
from tasks.numerics.keys import splitmix64
from tasks.texts._weights import consumed, empty, keys_of, written

if TYPE_CHECKING:
    import polars as pl

LEFT, RIGHT, RANK = "left", "right", "rank"


@dataclass(frozen=True)
class Drawing:
    """Which pairs are drawn.

    Attributes:
        rows: Texts of items taken, or texts written.
        days: At most so far apart.
        draws: Of each user.
        pairs: Kept at most.
        texts: Kept at most.
        seed: Another seed draws others.
    """

    rows: Literal["consumed", "written"]
    days: float
    draws: int
    pairs: int
    texts: int
    seed: int


@dataclass(frozen=True)
class Drawn:
    """What was drawn of some buckets.

    Attributes:
        pairs: (left, right, rank), left before right in order of text, sorted by rank.
        texts: (text, rank), distinct, sorted by rank.
    """

    pairs: "pl.DataFrame"
    texts: "pl.DataFrame"


def draw(bucket: Bucket, state: State, config: TextsConfig, as_of: datetime, how: Drawing) -> Drawn:
    """Pairs and texts of one bucket's users, of what they did up to `as_of`.

    Args:
        bucket: Frames of events, texts and items; any may be absent.
        state: Weights of texts, as `pooling` fitted them.
        config: Which texts speak for a user; those of weight 0 do not.
        as_of: Nothing after this moment is read.
        how: Which pairs.
    """
    import polars as pl

    found = (consumed if how.rows == "consumed" else written)(bucket, state, config, as_of)
    columns = [USER_ID, TIMESTAMP, SEQUENCE, TEXT]
    rows = (empty() if found is None else found).filter(pl.col(WEIGHT) > 0).select(columns)
    texts = rows.select(pl.col(TEXT).unique().sort())
    ranks = splitmix64(keys_of(texts.get_column(TEXT)) ^ np.uint64(how.seed))
    return _kept(_pairs(rows.sort(columns), how), texts.with_columns(pl.Series(RANK, ranks, dtype=pl.UInt64)), how)


def merge(a: Drawn, b: Drawn, how: Drawing) -> Drawn:
    """What was drawn of two sets of buckets; in any order the same."""
    import polars as pl

    return _kept(pl.concat([a.pairs, b.pairs]), pl.concat([a.texts, b.texts]).unique(), how)


def _kept(pairs: "pl.DataFrame", texts: "pl.DataFrame", how: Drawing) -> Drawn:
    return Drawn(pairs.sort(RANK, LEFT, RIGHT).head(how.pairs), texts.sort(RANK, TEXT).head(how.texts))


def _pairs(rows: "pl.DataFrame", how: Drawing) -> "pl.DataFrame":
    """The pairs of users whose rows (user, time, text) are sorted by user and time."""
    import polars as pl

    users, first, size = np.unique(rows.get_column(USER_ID).rle_id().to_numpy(), return_index=True, return_counts=True)
    names = rows.get_column(USER_ID).gather(first)
    owner = np.repeat(np.arange(len(users)), how.draws)
    key = np.repeat(splitmix64(keys_of(names) ^ np.uint64(how.seed)), how.draws)
    one = splitmix64(key ^ np.tile(np.arange(how.draws, dtype=np.uint64), len(users)))
    two = splitmix64(one)
    low, high = _window(rows.get_column(TIMESTAMP).to_physical().to_numpy(), first, size, how.days)
    at = first[owner] + (one % size[owner].astype(np.uint64)).astype(np.int64)
    other = low[at] + (two % (high[at] - low[at]).astype(np.uint64)).astype(np.int64)
    text = rows.get_column(TEXT)
    drawn = pl.DataFrame({"owner": owner, "a": text.gather(at), "b": text.gather(other), "key": key})
    ordered = drawn.filter(pl.col("a") != pl.col("b")).select(
        "owner", "key", pl.min_horizontal("a", "b").alias(LEFT), pl.max_horizontal("a", "b").alias(RIGHT)
    )
    once = ordered.unique(["owner", LEFT, RIGHT]).sort("owner", LEFT, RIGHT)
    mixed = splitmix64(splitmix64(once["key"].to_numpy() ^ keys_of(once[LEFT])) ^ keys_of(once[RIGHT]))
    return once.select(LEFT, RIGHT).with_columns(pl.Series(RANK, mixed, dtype=pl.UInt64))


def _window(time: np.ndarray, first: np.ndarray, size: np.ndarray, days: float) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the first row, and the one after the last, of the same user within so many days of each row."""
    low, high = np.zeros(len(time), np.int64), np.zeros(len(time), np.int64)
    reach = int(days * MICROSECONDS_PER_DAY)
    for start, count in zip(first.tolist(), size.tolist(), strict=True):
        own = time[start : start + count]
        low[start : start + count] = start + np.searchsorted(own, own - reach, side="left")
        high[start : start + count] = start + np.searchsorted(own, own + reach, side="right")
    return low, high
