"""A user's text vector: the weighted mean over the texts that the user wrote and consumed.

    v(u) = Σ w(u, t) e(t) / Σ w(u, t),   w = kind or event weight x idf of a consumed item x 0.5^(age / half-life)

Fitted over buckets like a feature family: `partial -> merge -> finish`, then `transform` of one bucket. Sums are
float64 in an order that depends on the user alone: a user's vector is the same bits alone, in a bucket or in a batch.

Where the fallback is the mean, it is fitted once texts are encoded: `mean_partial -> merge_means -> with_fallback`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from schemas.artifacts import State
from schemas.config import TextsConfig
from schemas.tables import EVENTS, HAS_TEXT, ITEM_ID, TEXT, TEXTS, USER_ID, VECTOR, Bucket
from tasks.numerics.history import population
from tasks.texts._weights import (
    EVENT_USERS,
    ITEM_KEYS,
    ITEM_USERS,
    LAST_KEY,
    Weighted,
    keys_of,
    known,
    normal_texts,
    weighted,
)

if TYPE_CHECKING:
    import polars as pl

Lookup = Callable[[list[str]], np.ndarray]
"""Texts -> their vectors (n, d) float32; a row of NaN means that there is none."""

FALLBACK = "fallback"
_TEXTS_AT_ONCE = 65_536


@dataclass(frozen=True)
class Partial:
    """What a bucket adds to the fit.

    Attributes:
        users: Users with events.
        items: Hashes of the items consumed, sorted, uint64.
        counts: Users of each item, int64.
        texts: The smallest hashes of written texts, sorted, uint64; at most `limit`.
        limit: `max_distinct_texts`.
    """

    users: int
    items: np.ndarray
    counts: np.ndarray
    texts: np.ndarray
    limit: int | None


@dataclass(frozen=True)
class MeanPartial:
    """Sum (d,) float64 of the vectors of users with text, and how many they are."""

    total: np.ndarray
    users: int


def clockless(config: TextsConfig) -> bool:
    """Whether `as_of` only cuts the fit off: a later one changes nothing where nothing new became known."""
    return True


def partial(bucket: Bucket, config: TextsConfig, as_of: datetime) -> Partial:
    """Users per item and, where distinct texts are limited, hashes of the written ones, up to `as_of`."""
    import polars as pl

    none = np.zeros(0, dtype=np.uint64)
    users, items, counts, texts = 0, none, np.zeros(0, dtype=np.int64), none
    if (events := known(bucket, EVENTS.name, as_of)) is not None:
        users = events.get_column(USER_ID).n_unique()
        per_item = events.group_by(ITEM_ID).agg(pl.col(USER_ID).n_unique().alias(USER_ID))
        items, counts = _added(keys_of(per_item.get_column(ITEM_ID)), per_item.get_column(USER_ID).to_numpy())
    if config.max_distinct_texts is not None and (written := known(bucket, TEXTS.name, as_of)) is not None:
        texts = np.unique(keys_of(normal_texts(written).get_column(TEXT).unique()))[: config.max_distinct_texts]
    return Partial(users, items, counts, texts, config.max_distinct_texts)


def merge(a: Partial, b: Partial) -> Partial:
    """The partial of two sets of buckets; users lie in one bucket each, so counts add up."""
    items, counts = _added(np.concatenate([a.items, b.items]), np.concatenate([a.counts, b.counts]))
    texts = np.unique(np.concatenate([a.texts, b.texts]))[: a.limit]
    return Partial(a.users + b.users, items, counts, texts, a.limit)


def _added(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct, inverse = np.unique(keys, return_inverse=True)
    return distinct, np.bincount(inverse, weights=counts, minlength=len(distinct)).astype(np.int64)


def finish(partial: Partial, rng: np.random.Generator) -> State:
    """Users per item (by the item's hash), and the hash above which written texts are left out, if any."""
    meta: dict[str, int] = {EVENT_USERS: partial.users}
    if partial.limit is not None and len(partial.texts) == partial.limit:
        meta[LAST_KEY] = int(partial.texts[-1])
    return State(arrays={ITEM_KEYS: partial.items, ITEM_USERS: partial.counts}, meta=meta)


def texts_of(bucket: Bucket, state: State, config: TextsConfig, as_of: datetime) -> list[str]:
    """Distinct normalised texts that the vectors of the bucket's users need, sorted."""
    return weighted(bucket, state, config, as_of).texts


def transform(bucket: Bucket, state: State, config: TextsConfig, as_of: datetime, lookup: Lookup) -> "pl.DataFrame":
    """One row for each user known by `as_of`, sorted by user.

    Args:
        bucket: Frames of events, users, texts and items; any may be absent.
        state: From `finish`, and `with_fallback` where the fallback is the mean.
        config: Which texts, and their weights.
        as_of: Nothing after this moment is read.
        lookup: Gives vectors of texts; use the cache's, so that training and serving round alike.

    Returns:
        Frame (user_id, vector, has_text). Users without text get the state's fallback, or zeros before it is fitted.
    """
    import polars as pl

    users = population(bucket, as_of)
    loud = weighted(bucket, state, config, as_of)
    width = lookup([]).shape[1]
    vectors = np.zeros((len(users), width), dtype=np.float32)
    if config.fallback == "mean" and FALLBACK in state.arrays:
        vectors[:] = state.arrays[FALLBACK]
    means, heard = _means(loud, lookup, width)
    rows = np.flatnonzero(users.is_in(loud.users.implode()).to_numpy())[heard]
    vectors[rows] = means[heard]
    has_text = np.zeros(len(users), dtype=bool)
    has_text[rows] = True
    column = pl.Series(VECTOR, vectors, dtype=pl.Array(pl.Float32, width)).cast(pl.List(pl.Float32))
    return pl.DataFrame([users.alias(USER_ID), column, pl.Series(HAS_TEXT, has_text)])


def _means(loud: Weighted, lookup: Lookup, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means (u, d) float32 of the users of `loud`, and which of them (u,) have any vector at all."""
    means = np.zeros((len(loud.users), width), dtype=np.float32)
    heard = np.zeros(len(loud.users), dtype=bool)
    edges = np.searchsorted(loud.user, np.arange(len(loud.users) + 1))
    for first, last in _spans(edges, len(loud.texts)):
        pairs = slice(edges[first], edges[last])
        columns, text = np.unique(loud.text[pairs], return_inverse=True)
        vectors = lookup([loud.texts[i] for i in columns.tolist()]).astype(np.float64)
        there = np.isfinite(vectors.sum(axis=1))
        vectors[~there] = 0.0
        weight = loud.weight[pairs] * there[text]
        sums = _rows_times(edges[first : last + 1] - edges[first], text, weight, vectors)
        totals = np.bincount(loud.user[pairs] - first, weights=weight, minlength=last - first)
        heard[first:last] = totals > 0
        means[first:last] = sums / np.where(totals > 0, totals, 1.0)[:, None]
    return means, heard


def _rows_times(edges: np.ndarray, text: np.ndarray, weight: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Σ weight x vector per user, (u, d) float64, added pair by pair in order (SciPy's CSR product does just that)."""
    from scipy.sparse import csr_matrix

    return csr_matrix((weight, text, edges), shape=(len(edges) - 1, len(vectors))) @ vectors


def _spans(edges: np.ndarray, texts: int) -> list[tuple[int, int]]:
    """Ranges of users whose texts fit into memory at once."""
    users = len(edges) - 1
    if texts <= _TEXTS_AT_ONCE:
        return [(0, users)] if users else []
    spans, first = [], 0
    while first < users:
        last = max(int(np.searchsorted(edges, edges[first] + _TEXTS_AT_ONCE, side="right")) - 1, first + 1)
        spans.append((first, last))
        first = last
    return spans


def mean_partial(bucket: Bucket, state: State, config: TextsConfig, as_of: datetime, lookup: Lookup) -> MeanPartial:
    """What a bucket adds to the mean over users with text; call it once the bucket's texts are encoded."""
    import polars as pl

    frame = transform(bucket, state, config, as_of, lookup).filter(pl.col(HAS_TEXT))
    width = lookup([]).shape[1]
    vectors = frame.get_column(VECTOR).cast(pl.Array(pl.Float32, width)).to_numpy().reshape(len(frame), width)
    return MeanPartial(vectors.sum(axis=0, dtype=np.float64), len(frame))


def merge_means(a: MeanPartial, b: MeanPartial) -> MeanPartial:
    """The partial of two sets of buckets."""
    return MeanPartial(a.total + b.total, a.users + b.users)


def with_fallback(state: State, mean: MeanPartial) -> State:
    """The state with the mean vector over users with text, (d,) float32; zeros where nobody has any."""
    vector = (mean.total / max(mean.users, 1)).astype(np.float32)
    return State(arrays={**state.arrays, FALLBACK: vector}, meta=state.meta)
