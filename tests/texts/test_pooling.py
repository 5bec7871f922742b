"""A user's vector against the plainest loop, its bits alone and in a batch, and what must not be heard."""

from datetime import UTC, datetime, timedelta
from math import log

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.artifacts import State
from schemas.config import TextsConfig
from schemas.tables import (
    EVENT,
    EVENTS,
    HAS_TEXT,
    ITEM_ID,
    ITEMS,
    KIND,
    SEQUENCE,
    TEXT,
    TEXTS,
    TIMESTAMP,
    TITLE,
    USER_EMBEDDINGS,
    USER_ID,
    USERS,
    VECTOR,
)
from tasks.encoders import hashing
from tasks.texts import pooling

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
ENCODER = hashing.load(hashing.Config(dimension=16))
KINDS = ["review", "search"]
NAMES = ["view", "buy"]


def bucket(seed=0, users=12, events=80, texts=30, items=9, spread=400):
    """A random bucket; a few rows lie after AS_OF, one item has no title, one user has nothing."""
    rng = np.random.default_rng(seed)

    def stamps(n):
        return [AS_OF - timedelta(hours=float(h)) for h in rng.uniform(-spread / 10, spread, n) * 24]

    ids = [f"u{i}" for i in range(users)]
    stamp = pl.Datetime("us", "UTC")
    return {
        EVENTS.name: pl.DataFrame({
            USER_ID: rng.choice(ids[:-1], events), ITEM_ID: [str(i) for i in rng.integers(0, items + 1, events)],
            EVENT: rng.choice(NAMES, events), TIMESTAMP: pl.Series(stamps(events), dtype=stamp),
            "value": rng.normal(size=events), SEQUENCE: np.arange(events),
        }),
        TEXTS.name: pl.DataFrame({
            USER_ID: rng.choice(ids[:-1], texts), TIMESTAMP: pl.Series(stamps(texts), dtype=stamp),
            TEXT: [f"words {i % 7}" for i in range(texts - 1)] + [" \u200b"], KIND: rng.choice(KINDS, texts),
        }),
        ITEMS.name: pl.DataFrame({ITEM_ID: [str(i) for i in range(items)],
                                  TITLE: [f"title {i}" if i else None for i in range(items)]}),
        USERS.name: pl.DataFrame({USER_ID: ids}),
    }  # fmt: skip


def fitted(frames, config, lookup=ENCODER.encode):
    state = pooling.finish(pooling.partial(frames, config, AS_OF), np.random.default_rng(0))
    return pooling.with_fallback(state, pooling.mean_partial(frames, state, config, AS_OF, lookup))


def vectors(frame):
    return dict(zip(frame[USER_ID], map(np.array, frame[VECTOR]), strict=True))


def oracle(frames, config):
    """Users -> vector, by loops over rows and nothing else; None without text."""
    titles = dict(frames[ITEMS.name].select(ITEM_ID, TITLE).iter_rows())
    events = [row for row in frames[EVENTS.name].iter_rows(named=True) if row[TIMESTAMP] <= AS_OF]
    all_users = {row[USER_ID] for row in events}
    heard: dict[str, list] = {user: [] for user in frames[USERS.name][USER_ID]}
    for row in events:
        title = titles.get(row[ITEM_ID])
        if title:
            own = {other[USER_ID] for other in events if other[ITEM_ID] == row[ITEM_ID]}
            idf = max(log(len(all_users) / len(own)), 1e-6) if config.inverse_popularity else 1
            weight = config.consumed_weight * idf * config.event_weights.get(row[EVENT], 1)
            heard[row[USER_ID]].append((row[TIMESTAMP], row[SEQUENCE], title, weight))
    for row in frames[TEXTS.name].iter_rows(named=True):
        if row[TIMESTAMP] <= AS_OF and row[TEXT].strip(" \u200b"):
            weight = config.written_weight * config.kind_weights.get(row[KIND], 1)
            heard[row[USER_ID]].append((row[TIMESTAMP], 0, row[TEXT], weight))
    made = {}
    for user, rows in heard.items():
        rows = [row for row in rows if row[3] > 0]
        rows = sorted(rows, key=lambda row: (row[0], row[1]), reverse=True)[: config.max_texts_per_user]
        total, weights = np.zeros(16), 0.0
        for stamp, _, text, weight in rows:
            if config.half_life_days:
                weight *= 0.5 ** ((AS_OF - stamp).total_seconds() / 86400 / config.half_life_days)
            total += weight * ENCODER.encode([text])[0].astype(np.float64)
            weights += weight
        made[user] = total / weights if weights else None
    return made


CONFIGS = [
    {},
    {"half_life_days": 20.0, "event_weights": {"buy": 3.0}, "kind_weights": {"search": 0.5}},
    {"inverse_popularity": False, "written_weight": 0.0},
    {"consumed_weight": 0.0},
    {"max_texts_per_user": 3},
    {"event_weights": {"view": 0.0}, "written_weight": 2.0, "fallback": "zero"},
]


@pytest.mark.parametrize("fields", CONFIGS, ids=range(len(CONFIGS)))
def test_vectors_equal_the_oracle(fields):
    frames, config = bucket(), TextsConfig(template="{title}", **fields)
    frame = pooling.transform(frames, fitted(frames, config), config, AS_OF, ENCODER.encode)
    expected = oracle(frames, config)
    with_text = [vector for vector in expected.values() if vector is not None]
    rest = np.mean(with_text, axis=0) if config.fallback == "mean" else np.zeros(16)
    assert frame.columns == list(USER_EMBEDDINGS.names)
    assert frame.schema == USER_EMBEDDINGS.polars_schema()
    assert frame[USER_ID].to_list() == sorted(expected)
    assert frame[HAS_TEXT].to_list() == [expected[user] is not None for user in sorted(expected)]
    for user, vector in vectors(frame).items():
        np.testing.assert_allclose(vector, rest if expected[user] is None else expected[user], atol=1e-6, err_msg=user)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(CONFIGS))
def test_a_user_is_the_same_bits_alone_and_in_a_batch_in_any_order(seed, fields):
    frames, config = bucket(seed), TextsConfig(template="{title}", **fields)
    state = fitted(frames, config)
    together = pooling.transform(frames, state, config, AS_OF, ENCODER.encode)
    rng = np.random.default_rng(seed)
    for user in rng.choice(frames[USERS.name][USER_ID].to_list(), 3):
        own = {
            name: (frame if name == ITEMS.name else frame.filter(pl.col(USER_ID) == user)).sample(
                fraction=1, shuffle=True, seed=seed
            )
            for name, frame in frames.items()
        }
        alone = pooling.transform(own, state, config, AS_OF, ENCODER.encode)
        np.testing.assert_array_equal(alone[VECTOR][0], vectors(together)[user])


def test_users_in_spans_are_the_same_bits(monkeypatch):
    frames, config = bucket(3, users=60, events=900, items=40), TextsConfig(template="{title}")
    state = fitted(frames, config)
    whole = pooling.transform(frames, state, config, AS_OF, ENCODER.encode)
    monkeypatch.setattr(pooling, "_TEXTS_AT_ONCE", 30)
    asked = []
    spans = pooling.transform(
        frames, state, config, AS_OF, lambda texts: asked.append(len(texts)) or ENCODER.encode(texts)
    )
    assert whole.equals(spans)
    assert len(asked) > 5


def test_fit_over_buckets_equals_fit_over_all():
    frames, config = bucket(5), TextsConfig(template="{title}", max_distinct_texts=4)
    whole = pooling.partial(frames, config, AS_OF)
    parts = []
    for half in (0, 1):
        users = pl.col(USER_ID).is_in([f"u{i}" for i in range(12) if i % 2 == half])
        own = {name: frame if name == ITEMS.name else frame.filter(users) for name, frame in frames.items()}
        parts.append(pooling.partial(own, config, AS_OF))
    rng = np.random.default_rng(0)
    for merged in (pooling.merge(*parts), pooling.merge(*parts[::-1])):
        a, b = pooling.finish(whole, rng), pooling.finish(merged, rng)
        assert a.meta == b.meta
        for name in a.arrays:
            np.testing.assert_array_equal(a.arrays[name], b.arrays[name])


def test_texts_of_is_what_transform_looks_up():
    frames, config = bucket(2), TextsConfig(template="{title}")
    state = fitted(frames, config)
    asked = set()
    pooling.transform(frames, state, config, AS_OF, lambda texts: asked.update(texts) or ENCODER.encode(texts))
    needed = pooling.texts_of(frames, state, config, AS_OF)
    assert needed == sorted(asked)
    assert "" not in needed


def test_at_most_so_many_distinct_written_texts_are_encoded():
    frames, config = bucket(2), TextsConfig(consumed_weight=0, max_distinct_texts=3)
    state = fitted(frames, config)
    assert len(pooling.texts_of(frames, state, config, AS_OF)) == 3
    roomy = config.model_copy(update={"max_distinct_texts": 100})
    assert len(pooling.texts_of(frames, fitted(frames, roomy), roomy, AS_OF)) == 7


def test_nothing_after_as_of_is_heard():
    frames, config = bucket(4), TextsConfig(template="{title}")
    past = {
        name: frame.filter(pl.col(TIMESTAMP) <= AS_OF) if TIMESTAMP in frame.columns else frame
        for name, frame in frames.items()
    }
    assert len(past[EVENTS.name]) < len(frames[EVENTS.name])
    a = pooling.transform(frames, fitted(frames, config), config, AS_OF, ENCODER.encode)
    assert a.equals(pooling.transform(past, fitted(past, config), config, AS_OF, ENCODER.encode))


def test_items_without_a_vector_are_left_out():
    frames, config = bucket(1), TextsConfig(template="{item_id}", written_weight=0, fallback="zero")

    def lookup(ids):
        made = ENCODER.encode(ids)
        made[[i for i, key in enumerate(ids) if key != "3"]] = np.nan
        return made

    frame = pooling.transform(frames, fitted(frames, config, lookup), config, AS_OF, lookup)
    three = ENCODER.encode(["3"])[0]
    heard = frames[EVENTS.name].filter((pl.col(ITEM_ID) == "3") & (pl.col(TIMESTAMP) <= AS_OF))[USER_ID].unique()
    assert 0 < len(heard) < 11
    for user, vector in vectors(frame).items():
        np.testing.assert_allclose(vector, three if user in heard else np.zeros(16), atol=1e-6)


@pytest.mark.parametrize("names", [[], [USERS.name], [EVENTS.name], [TEXTS.name], [EVENTS.name, ITEMS.name]])
def test_absent_tables_are_no_error(names):
    frames = {name: frame for name, frame in bucket().items() if name in names}
    config = TextsConfig(template="{title}")
    frame = pooling.transform(frames, fitted(frames, config), config, AS_OF, ENCODER.encode)
    assert frame.schema == USER_EMBEDDINGS.polars_schema()
    assert frame[HAS_TEXT].any() == bool({TEXTS.name, ITEMS.name} & set(names))


def test_before_the_fallback_is_fitted_it_is_zero():
    frames, config = bucket(), TextsConfig(template="{title}")
    state = fitted(frames, config)
    bare = State({k: v for k, v in state.arrays.items() if k != pooling.FALLBACK}, state.meta)
    assert not np.any(vectors(pooling.transform(frames, bare, config, AS_OF, ENCODER.encode))["u11"])
    assert np.any(vectors(pooling.transform(frames, state, config, AS_OF, ENCODER.encode))["u11"])


def test_chinese_full_width_and_half_width_titles_are_one_text():
    frames = bucket()
    frames[ITEMS.name] = pl.DataFrame({ITEM_ID: ["1", "2"], TITLE: ["电影１２３　好看", "电影123 好看"]})
    config = TextsConfig(template="{title}", written_weight=0)
    assert pooling.texts_of(frames, fitted(frames, config), config, AS_OF) == ["电影123 好看"]
