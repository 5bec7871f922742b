"""Events: behaviour decides when, how often, what kind and how much; interest decides which items."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from schemas import tables as t
from tasks.sources._synthetic_config import Config
from tasks.sources._synthetic_dirt import Spoiler
from tasks.sources._synthetic_people import GOLDEN, believed, present, profiles, sizes, user_ids
from tasks.sources._synthetic_random import normal, uniform

if TYPE_CHECKING:
    import pyarrow as pa

EVENT_NAMES = ("view", "cart", "buy", "like", "share", "search")
_US = 1_000_000
_USERS_AT_ONCE = 65_536


def batches(config: Config) -> "Iterator[pa.RecordBatch]":
    """Arrow batches of events, users in turn, each user's roughly by time; `sequence` counts rows from 1."""
    spoiler = Spoiler(config, total_events(config))
    row = 0
    for users in _blocks(config):
        columns = _block(config, users)
        yield spoiler.batch(columns, row)
        row += len(columns[t.TIMESTAMP])


def total_events(config: Config) -> int:
    """Rows of the events table, dirt included."""
    starts = range(0, config.population, _USERS_AT_ONCE)
    chunks = (np.arange(start, min(start + _USERS_AT_ONCE, config.population)) for start in starts)
    return sum(int(counts(config, present(config, users)).sum()) for users in chunks)


def counts(config: Config, users: np.ndarray) -> np.ndarray:
    """(n,) number of events per user: the segment's pace, from 0.5 to 1.5 of the mean, and ±20 % of its own."""
    own = 0.8 + 0.4 * uniform(config.seed, "count", users)
    pace = 1 + believed(config, "behaviour") * (np.arange(config.labels) * GOLDEN % 1.0 - 0.5)
    pace = pace / (pace[: config.segments] @ sizes(config))
    mean = config.events_per_user * pace[profiles(config, "behaviour", users)]
    return np.maximum(1, np.rint(mean * own)).astype(np.int64)


def categories(config: Config) -> int:
    """Categories of items: two per label that interest ever has."""
    return min(2 * config.labels, config.items)


def _blocks(config: Config) -> Iterator[np.ndarray]:
    """User numbers in blocks of about `batch_rows` events."""
    size = max(1, int(config.batch_rows / max(config.events_per_user, 1)))
    for start in range(0, config.population, size):
        users = present(config, np.arange(start, min(start + size, config.population)))
        if len(users):
            yield users


def _block(config: Config, users: np.ndarray) -> "dict[str, np.ndarray | pa.Array]":
    """Columns of all events of some users; the ids are already Arrow texts."""
    import pyarrow as pa

    n = counts(config, users)
    which = np.repeat(np.arange(len(users)), n)
    turn = np.arange(len(which)) - np.repeat(np.cumsum(n) - n, n)
    owner = users[which]
    behaviour = profiles(config, "behaviour", users)[which]
    items = _items(config, owner, turn, profiles(config, "interest", users)[which])
    return {
        t.USER_ID: pa.array(user_ids(users)).take(pa.array(which)),
        t.ITEM_ID: pa.array(item_ids(config)).take(pa.array(items)),
        t.EVENT: pa.array(EVENT_NAMES).take(pa.array(_names(config, owner, turn, behaviour))),
        t.TIMESTAMP: _times(config, owner, turn, n[which], behaviour),
        t.VALUE: _values(config, owner, turn, behaviour),
    }


def item_ids(config: Config) -> list[str]:
    """Ids of the catalogue, in order; item i has category i modulo the number of categories."""
    return [f"i{item:06d}" for item in range(config.items)]


def _items(config: Config, owner: np.ndarray, turn: np.ndarray, interest: np.ndarray) -> np.ndarray:
    """Item numbers: mostly of the segment's two categories; inside one, item at rank share u² (popular ones first)."""
    total = categories(config)
    draw = uniform(config.seed, "category", owner, turn)
    share = believed(config, "interest")
    inside = draw < share
    rest = np.where(inside, draw / max(share, 1e-9), (draw - share) / max(1 - share, 1e-9))
    category = np.where(inside, 2 * interest + (rest * 2).astype(np.int64), (rest * total).astype(np.int64)) % total
    within = (config.items - category + total - 1) // total
    rank = (uniform(config.seed, "item", owner, turn) ** 2 * within).astype(np.int64)
    return category + np.minimum(rank, within - 1) * total


def _names(config: Config, owner: np.ndarray, turn: np.ndarray, behaviour: np.ndarray) -> np.ndarray:
    """Event kinds: view for half, and the segment's own kind for most of the rest; drift evens them out."""
    draw = uniform(config.seed, "event", owner, turn)
    share = believed(config, "behaviour") * 0.6 / (1 + config.drift * config.moment)
    own = 1 + behaviour % (len(EVENT_NAMES) - 1)
    rest = (draw - share) / max(1 - share, 1e-9)
    other = np.where(rest < 0.5, 0, (rest * len(EVENT_NAMES)).astype(np.int64))
    return np.where(draw < share, own, other)


def _times(config: Config, owner: np.ndarray, turn: np.ndarray, n: np.ndarray, behaviour: np.ndarray) -> np.ndarray:
    """Microseconds since 1970: sessions spread over the days, at the segment's hour, of the segment's length."""
    length = 1 + (behaviour * 3) % 7 if believed(config, "behaviour") else np.full(len(owner), 4)
    session, step = turn // length, turn % length
    sessions = -(-n // length)
    day = ((session + uniform(config.seed, "day", owner, session)) * (config.days - 1) / sessions).astype(np.int64)
    draw = uniform(config.seed, "hour", owner, session)
    hour = (24 * GOLDEN * behaviour + 2 * normal(config.seed, "spread", owner, session)) % 24
    follows = uniform(config.seed, "follows", owner, session) < believed(config, "behaviour")
    hour = np.where(follows, hour, 24 * draw)
    end = int(config.as_of.timestamp()) + config.moment * config.days * 86_400
    midnight = end // 86_400 * 86_400 - config.days * 86_400
    seconds = midnight + day * 86_400 + hour * 3_600 + step * (40 + 60 * draw)
    return (np.minimum(seconds, end - 1) * _US).astype(np.int64)


def _values(config: Config, owner: np.ndarray, turn: np.ndarray, behaviour: np.ndarray) -> np.ndarray:
    """Amounts, log-normal round the segment's level (from 5 to about 100), in no particular currency."""
    level = (behaviour * GOLDEN * GOLDEN) % 1.0 * 3 * config.strength * ("behaviour" in config.signals)
    noise = 0.3 * normal(config.seed, "value", owner, turn)
    return np.round(5 * np.exp(level + noise + config.drift * config.moment), 2)
