"""Random small inputs for property and contract tests: buckets with ties, single events, nulls and strangers."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from schemas.tables import (
    CATEGORIES,
    DESCRIPTION,
    DST,
    EDGES,
    EVENT,
    EVENTS,
    ITEM_ID,
    ITEMS,
    KIND,
    SEQUENCE,
    SRC,
    TEXT,
    TEXTS,
    TIMESTAMP,
    TITLE,
    USER_ID,
    USERS,
    VALUE,
    WEIGHT,
    Bucket,
)
from tasks.sources import synthetic

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
CATEGORY_NAMES = ("drama", "comedy", "crime", "science fiction", "音乐", "war")


def stamps(rng: np.random.Generator, n: int, as_of: datetime = AS_OF, days: int = 60) -> np.ndarray:
    """(n,) microseconds in the `days` before `as_of`, in whole quarters of an hour, so that ties happen."""
    steps = rng.integers(0, days * 96, n)
    return np.array([int((as_of - timedelta(minutes=15 * int(step))).timestamp() * 1e6) for step in steps], np.int64)


def random_events(rng: np.random.Generator, users: list[str], n: int, items: int = 12) -> pl.DataFrame:
    """n events in ingest's order; some users have one event only, some values are null."""
    who = np.append(rng.choice(users, max(n - 3, 0)), rng.choice(users, min(n, 3)))
    kinds = rng.choice(["view", "cart", "buy", "rating"], n, p=[0.5, 0.15, 0.15, 0.2])
    value = np.where(kinds == "rating", rng.integers(1, 6, n), np.round(rng.gamma(2.0, 9.0, n), 2))
    valued = np.isin(kinds, ["buy", "rating"]) & (rng.random(n) < 0.9)
    frame = pl.DataFrame({
        USER_ID: who.astype(str),
        ITEM_ID: [f"i{k}" for k in np.minimum(rng.geometric(0.25, n), items)],
        EVENT: kinds.astype(str),
        TIMESTAMP: pl.Series(stamps(rng, n)).cast(pl.Datetime("us", "UTC")),
        VALUE: pl.Series([float(v) if ok else None for v, ok in zip(value, valued, strict=True)], dtype=pl.Float64),
        SEQUENCE: rng.permutation(n).astype(np.int64),
    })  # fmt: skip
    return frame.cast(EVENTS.polars_schema()).sort(USER_ID, TIMESTAMP, SEQUENCE)


def random_items(rng: np.random.Generator, items: int = 12) -> pl.DataFrame:
    """A whole items table: nulls, empty and many-valued categories, a numeric column."""
    names = [list(rng.choice(CATEGORY_NAMES, rng.integers(0, 4), replace=False)) for _ in range(items)]
    return pl.DataFrame(
        {
            ITEM_ID: [f"i{k + 1}" for k in range(items)],
            TITLE: [f"Title {k}" for k in range(items)],
            DESCRIPTION: [None] * items,
            CATEGORIES: [None if k % 7 == 6 else [str(c) for c in value] for k, value in enumerate(names)],
            "price": rng.gamma(2.0, 10.0, items),
        },
        schema=ITEMS.polars_schema() | {"price": pl.Float64},
    )


def random_users(rng: np.random.Generator, users: list[str]) -> pl.DataFrame:
    """Numeric, ordinal, categorical and multi-valued attributes, each with nulls."""
    n = len(users)
    gone = rng.random((n, 4)) < 0.15
    return pl.DataFrame(
        {
            USER_ID: users,
            "age": [None if g else int(a) for g, a in zip(gone[:, 0], rng.integers(16, 80, n), strict=True)],
            "city": [None if g else str(c) for g, c in zip(gone[:, 1], rng.choice(list("abcd"), n), strict=True)],
            "level": [
                None if g else str(c) for g, c in zip(gone[:, 2], rng.choice(["low", "mid", "high"], n), strict=True)
            ],
            "gender": [None if g else str(c) for g, c in zip(gone[:, 3], rng.choice(["f", "m"], n), strict=True)],
        },
        schema=USERS.polars_schema() | {"age": pl.Int64, "city": pl.String, "level": pl.String, "gender": pl.String},
    ).sort(USER_ID)


def random_texts(rng: np.random.Generator, users: list[str], n: int) -> pl.DataFrame:
    """n short texts in order of user and time."""
    words = ["好看", "great film", "boring", "再看一遍", ""]
    return pl.DataFrame(
        {
            USER_ID: [str(u) for u in rng.choice(users, n)],
            TIMESTAMP: pl.Series(stamps(rng, n)).cast(pl.Datetime("us", "UTC")),
            TEXT: [str(w) for w in rng.choice(words, n)],
            KIND: [str(k) for k in rng.choice(["review", "message"], n)],
        },
        schema=TEXTS.polars_schema(),
    ).sort(USER_ID, TIMESTAMP)


def random_edges(rng: np.random.Generator, users: list[str], n: int) -> pl.DataFrame:
    """n directed ties without self-ties; a quarter has no timestamp, that is, always stood."""
    src, dst = rng.integers(0, len(users), n), rng.integers(0, len(users), n)
    keep = src != dst
    when: list[int | None] = [None if k % 4 == 0 else int(t) for k, t in enumerate(stamps(rng, n))]
    return pl.DataFrame(
        {
            SRC: [users[k] for k in src[keep]],
            DST: [users[k] for k in dst[keep]],
            WEIGHT: rng.integers(1, 4, n)[keep].astype(float),
            TIMESTAMP: pl.Series(when, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")).filter(pl.Series(keep)),
        },
        schema=EDGES.polars_schema(),
    ).sort(SRC)


def random_bucket(rng: np.random.Generator, n_users: int = 14, n_events: int = 160, prefix: str = "u") -> Bucket:
    """All five tables over `n_users`; the last two users have attributes only, one has texts only.

    User ids sort as they count. Every timestamp is at or before AS_OF.
    """
    users = [f"{prefix}{k:03d}" for k in range(n_users)]
    return {
        EVENTS.name: random_events(rng, users[:-3], n_events),
        USERS.name: random_users(rng, [*users[:-3], *users[-2:]]),
        ITEMS.name: random_items(rng),
        TEXTS.name: random_texts(rng, users[-3:-2] + users[:3], 12),
        EDGES.name: random_edges(rng, users, 4 * n_users),
    }


def slices(bucket: Bucket, groups: list[list[str]]) -> list[dict[str, pl.DataFrame]]:
    """The bucket's tables split by user; items stay whole."""
    owner = {EVENTS.name: USER_ID, USERS.name: USER_ID, TEXTS.name: USER_ID, EDGES.name: SRC}
    return [
        {name: frame.filter(pl.col(owner[name]).is_in(group)) if name in owner else frame
         for name, frame in bucket.items()}
        for group in groups
    ]  # fmt: skip


def synthetic_bucket(config: synthetic.Config) -> dict[str, pl.DataFrame]:
    """The tables of the synthetic source as one bucket, sorted as ingest sorts them."""
    bucket = {}
    for name, batches in synthetic.read(config).items():
        frame = pl.concat([pl.DataFrame(batch) for batch in batches])
        if name == EVENTS.name and SEQUENCE not in frame.columns:
            frame = frame.with_row_index(SEQUENCE, 1)
        stamps = [column for column in (TIMESTAMP,) if column in frame.columns]
        frame = frame.with_columns(pl.col(column).cast(pl.Int64).cast(pl.Datetime("us", "UTC")) for column in stamps)
        order = [column for column in (USER_ID, SRC, TIMESTAMP, SEQUENCE) if column in frame.columns]
        bucket[name] = frame.sort(order) if order else frame
    return bucket
