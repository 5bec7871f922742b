"""The rows behind a user's text vector: every text a user wrote or consumed, with its weight."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from schemas.artifacts import State
from schemas.config import TextsConfig
from schemas.tables import (
    EVENT,
    EVENTS,
    ITEM_ID,
    ITEMS,
    KIND,
    SEQUENCE,
    TEXT,
    TEXTS,
    TIMESTAMP,
    USER_ID,
    WEIGHT,
    Bucket,
)
from tasks.numerics.history import MICROSECONDS_PER_DAY, clock, until
from tasks.texts.normalise import normalise_all
from tasks.texts.templates import item_texts

if TYPE_CHECKING:
    import polars as pl

ITEM_KEYS = "item_keys"
ITEM_USERS = "item_users"
EVENT_USERS = "event_users"
LAST_KEY = "last_text_key"

_LEAST_IDF = 1e-6  # an item that every user consumed still speaks for a user who consumed nothing else


def keys_of(values: "pl.Series") -> np.ndarray:
    """(n,) uint64 hashes of strings, the same on every machine."""
    digests = b"".join(blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).digest() for value in values)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def known(bucket: Bucket, table: str, as_of: datetime) -> "pl.DataFrame | None":
    """A table's rows up to `as_of`, or None where the bucket has no such table."""
    return until(bucket[table], as_of) if table in bucket else None


@dataclass(frozen=True)
class Weighted:
    """Distinct (user, text) pairs with their weights above 0, sorted by user, then text.

    Attributes:
        users: Users with at least one pair, sorted.
        texts: Distinct texts, sorted.
        user: (m,) position in `users` of each pair.
        text: (m,) position in `texts` of each pair.
        weight: (m,) float64.
    """

    users: "pl.Series"
    texts: list[str]
    user: np.ndarray
    text: np.ndarray
    weight: np.ndarray


def weighted(bucket: Bucket, state: State, config: TextsConfig, as_of: datetime) -> Weighted:
    """Every text that speaks for a user of the bucket, and how loud."""
    import polars as pl

    parts = [consumed(bucket, state, config, as_of), written(bucket, state, config, as_of)]
    rows = pl.concat([empty(), *(part for part in parts if part is not None)]).filter(pl.col(WEIGHT) > 0)
    if config.max_texts_per_user is not None:
        newest = [USER_ID, TIMESTAMP, SEQUENCE, TEXT]
        rows = rows.sort(newest, descending=[False, True, True, False])
        rows = rows.filter(pl.int_range(pl.len()).over(USER_ID) < config.max_texts_per_user)
    return _summed(rows)


def _summed(rows: "pl.DataFrame") -> Weighted:
    """Adds up the rows of each pair one after the other, oldest first, so that the sum depends on the pair alone."""
    users, user = _places(rows.get_column(USER_ID))
    texts, text = _places(rows.get_column(TEXT))
    weight = rows.get_column(WEIGHT).to_numpy()
    order = np.lexsort(
        (weight, rows.get_column(SEQUENCE).to_numpy(), rows.get_column(TIMESTAMP).to_physical().to_numpy(), text, user)
    )
    user, text, weight = user[order], text[order], weight[order]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (user[1:] != user[:-1]) | (text[1:] != text[:-1])
    sums = np.bincount(np.cumsum(starts) - 1, weights=weight, minlength=int(starts.sum()))
    return Weighted(users, texts.to_list(), user[starts], text[starts], sums)


def _places(values: "pl.Series") -> "tuple[pl.Series, np.ndarray]":
    """Distinct strings, sorted, and the (n,) int64 position of each value among them."""
    import polars as pl

    distinct = values.unique().sort()
    index = pl.DataFrame({"value": distinct, "at": np.arange(len(distinct), dtype=np.int64)})
    at = pl.DataFrame({"value": values}).join(index, on="value", how="left", maintain_order="left").get_column("at")
    return distinct, at.to_numpy()


def empty() -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame(
        schema={
            USER_ID: pl.String,
            TEXT: pl.String,
            WEIGHT: pl.Float64,
            TIMESTAMP: pl.Datetime("us", "UTC"),
            SEQUENCE: pl.Int64,
        }
    )


def _shaped(
    frame: "pl.DataFrame", weight: "pl.Expr", config: TextsConfig, bucket: Bucket, as_of: datetime
) -> "pl.DataFrame":
    """The frame in the columns of `empty`, its weights times the decay of time."""
    import polars as pl

    stamp = pl.col(TIMESTAMP).cast(pl.Datetime("us", "UTC"))
    if config.half_life_days is not None:
        age = (pl.lit(pl.Series(clock(bucket, frame[USER_ID], as_of))) - stamp.to_physical()) / MICROSECONDS_PER_DAY
        weight = weight * pl.lit(0.5).pow(age / config.half_life_days)
    sequence = pl.col(SEQUENCE).cast(pl.Int64) if SEQUENCE in frame.columns else pl.lit(0, dtype=pl.Int64)
    return frame.select(
        pl.col(USER_ID).cast(pl.String), TEXT, weight.cast(pl.Float64).alias(WEIGHT), stamp, sequence.alias(SEQUENCE)
    )


def consumed(bucket: Bucket, state: State, config: TextsConfig, as_of: datetime) -> "pl.DataFrame | None":
    import polars as pl

    events = known(bucket, EVENTS.name, as_of)
    if events is None or ITEMS.name not in bucket or config.consumed_weight == 0:
        return None
    items = bucket[ITEMS.name].filter(pl.col(ITEM_ID).is_in(events.get_column(ITEM_ID).unique().implode()))
    texts = item_texts(items, config)
    loud = _idf(texts.get_column(ITEM_ID), state) if config.inverse_popularity else np.ones(len(texts))
    texts = texts.with_columns(pl.Series("idf", loud * config.consumed_weight))
    weight = pl.col("idf") * _factor(EVENT, config.event_weights)
    return _shaped(events.join(texts, on=ITEM_ID, how="inner"), weight, config, bucket, as_of)


def written(bucket: Bucket, state: State, config: TextsConfig, as_of: datetime) -> "pl.DataFrame | None":
    import polars as pl

    frame = known(bucket, TEXTS.name, as_of)
    if frame is None or config.written_weight == 0:
        return None
    frame = normal_texts(frame)
    if LAST_KEY in state.meta:
        texts = frame.get_column(TEXT).unique()
        kept = texts.filter(pl.Series(keys_of(texts) <= np.uint64(state.meta[LAST_KEY])))
        frame = frame.filter(pl.col(TEXT).is_in(kept.implode()))
    return _shaped(frame, _factor(KIND, config.kind_weights) * config.written_weight, config, bucket, as_of)


def normal_texts(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Written texts in their normal form, without those that are empty."""
    import polars as pl

    frame = frame.filter(pl.col(TEXT).is_not_null())
    normal = normalise_all(frame.get_column(TEXT).to_list())
    texts = pl.Series(TEXT, [normal[text] for text in frame.get_column(TEXT).to_list()], dtype=pl.String)
    return frame.with_columns(texts).filter(pl.col(TEXT) != "")


def _factor(column: str, weights: Mapping[str, float]) -> "pl.Expr":
    import polars as pl

    if not weights:
        return pl.lit(1.0)
    return pl.col(column).replace_strict(dict(weights), default=1.0, return_dtype=pl.Float64)


def _idf(items: "pl.Series", state: State) -> np.ndarray:
    """(n,) log(users / users of the item); an item that the fit did not see counts as one user's."""
    keys, counts = state.arrays[ITEM_KEYS], state.arrays[ITEM_USERS]
    asked = keys_of(items)
    users = np.ones(len(asked))
    if len(keys):
        at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        users = np.where(keys[at] == asked, counts[at], 1).astype(np.float64)
    return np.maximum(np.log(max(state.meta[EVENT_USERS], 1) / users), _LEAST_IDF)
