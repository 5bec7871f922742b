"""Users, items, texts and edges: attributes, catalogue, topics and communities."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from schemas import tables as t
from tasks.sources._synthetic_config import Config
from tasks.sources._synthetic_events import categories, item_ids
from tasks.sources._synthetic_people import GOLDEN, believed, planted, present, profiles, user_ids
from tasks.sources._synthetic_random import bits, normal, uniform
from tasks.sources._synthetic_words import ADJECTIVES, SENTENCES, TOPICS, category_name

if TYPE_CHECKING:
    import pyarrow as pa

AGE, INCOME, PLAN, REGION, DEVICE, PRICE = "age", "income", "plan", "region", "device", "price"
_PLANS = ("free", "basic", "plus", "family")
_REGIONS = ("north", "south", "east", "west", "islands", "abroad", "capital")
_DEVICES = ("phone", "tablet", "computer")
_WORDS = 4


def users(config: Config) -> "Iterator[pa.RecordBatch]":
    """Batches of users with their attributes; age and income numeric, the others categorical."""
    import pyarrow as pa

    for first, who in _chunks(config, 1):
        label = profiles(config, "attributes", who)
        columns: dict[str, pa.Array] = {
            t.USER_ID: pa.array(user_ids(who)),
            AGE: pa.array(_age(config, who, label)),
            INCOME: pa.array(_income(config, who, label)),
            PLAN: pa.array(_PLANS).take(pa.array(_choice(config, PLAN, who, label, len(_PLANS)))),
            REGION: pa.array(_REGIONS).take(pa.array(_choice(config, REGION, who, label, len(_REGIONS)))),
            DEVICE: pa.array(_DEVICES).take(pa.array((uniform(config.seed, DEVICE, who) * len(_DEVICES)).astype(int))),
        }
        columns |= {f"truth_{signal}": pa.array(planted(config, signal, who)) for signal in config.reveal}
        yield _batch(columns, "users", first)


def items(config: Config) -> "Iterator[pa.RecordBatch]":
    """Batches of the catalogue: a title that names the category, the category, and a price without meaning."""
    import pyarrow as pa

    number, total = np.arange(config.items), categories(config)
    names = [category_name(config.language, category) for category in range(total)]
    some = ADJECTIVES[config.language]
    adjective = (uniform(config.seed, "adjective", number) * len(some)).astype(int)
    gap = "" if config.language == "zh" else " "
    titles = [f"{some[a]}{gap}{names[i % total]}{gap}{i}" for i, a in enumerate(adjective.tolist())]
    columns = {
        t.ITEM_ID: pa.array(item_ids(config)),
        t.TITLE: pa.array(titles),
        t.CATEGORIES: pa.array([[names[i % total]] for i in range(config.items)], pa.list_(pa.string())),
        PRICE: pa.array(np.round(10 * np.exp(normal(config.seed, PRICE, number)), 2)),
    }
    whole = _batch(columns, "items", 0)
    for start in range(0, config.items, config.batch_rows):
        yield whole.slice(start, config.batch_rows).replace_schema_metadata(
            {b"origin": b"synthetic:items", b"first_row": str(start + 1).encode()}
        )


def texts(config: Config) -> "Iterator[pa.RecordBatch]":
    """Batches of messages: four words, mostly of the segment's topic, in one of four sentences."""
    import pyarrow as pa

    vocabulary = np.array([topic.split() for topic in TOPICS[config.language]])
    sentences = SENTENCES[config.language]
    for first, who in _chunks(config, config.texts_per_user):
        owner = np.repeat(who, config.texts_per_user)
        turn = np.tile(np.arange(config.texts_per_user), len(who))
        topic = _topics(config, owner, turn, len(vocabulary))
        word = np.argsort(
            np.stack([uniform(config.seed, f"word {i}", owner, turn) for i in range(vocabulary.shape[1])]), axis=0
        )[:_WORDS]
        chosen = vocabulary[topic, word]
        shape = (uniform(config.seed, "sentence", owner, turn) * len(sentences)).astype(int)
        written = [sentences[s].format(*words) for s, words in zip(shape.tolist(), chosen.T.tolist(), strict=True)]
        columns = {
            t.USER_ID: pa.array(np.repeat(user_ids(who), config.texts_per_user)),
            t.TIMESTAMP: _when(config, "written", owner, turn),
            t.TEXT: pa.array(written),
            t.KIND: pa.array(np.full(len(owner), "message")),
        }
        yield _batch(columns, "texts", first * config.texts_per_user)


def edges(config: Config) -> "Iterator[pa.RecordBatch]":
    """Batches of ties, nearly all within the community; nobody is tied to themselves."""
    import pyarrow as pa

    everyone = present(config, np.arange(config.population))
    if len(everyone) < 2:
        return
    label = profiles(config, "social", everyone)
    members = np.argsort(label, kind="stable")
    begin = np.searchsorted(label[members], np.arange(config.labels + 1))
    for first, who in _chunks(config, config.edges_per_user):
        owner = np.repeat(who, config.edges_per_user)
        turn = np.tile(np.arange(config.edges_per_user), len(who))
        own = profiles(config, "social", owner)
        inside = uniform(config.seed, "inside", owner, turn) < believed(config, "social")
        low, high = np.where(inside, begin[own], 0), np.where(inside, begin[own + 1], len(everyone))
        draw = uniform(config.seed, "friend", owner, turn)
        place = low + (draw * (high - low)).astype(np.int64)
        friend = everyone[members[place]]
        # whoever drew themselves takes their neighbour in the list instead
        friend = np.where(friend == owner, everyone[members[(place + 1) % len(everyone)]], friend)
        columns = {
            t.SRC: pa.array(np.repeat(user_ids(who), config.edges_per_user)),
            t.DST: pa.array(user_ids(friend)),
            t.WEIGHT: pa.array(1.0 + (bits(config.seed, "weight", owner, turn) % np.uint64(5)).astype(np.float64)),
            t.TIMESTAMP: _when(config, "tied", owner, turn),
        }
        yield _batch(columns, "edges", first * config.edges_per_user)


def _chunks(config: Config, each: int) -> Iterator[tuple[int, np.ndarray]]:
    """(users before it, user numbers) in chunks of about `batch_rows` rows, `each` rows a user."""
    if each == 0:
        return
    size, before = max(1, config.batch_rows // each), 0
    for start in range(0, config.population, size):
        who = present(config, np.arange(start, min(start + size, config.population)))
        if len(who):
            yield before, who
        before += len(who)


def _batch(columns: "dict[str, pa.Array]", table: str, first: int) -> "pa.RecordBatch":
    import pyarrow as pa

    batch = pa.record_batch(columns)
    return batch.replace_schema_metadata(
        {b"origin": f"synthetic:{table}".encode(), b"first_row": str(first + 1).encode()}
    )


def _age(config: Config, who: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Years: 18 to 78 by segment, ±2; older by 10 x drift at moment 1."""
    follows = uniform(config.seed, "age follows", who) < _trusted(config)
    level = np.where(follows, label * GOLDEN % 1.0, uniform(config.seed, "age level", who))
    return np.round(18 + 60 * level + 2 * normal(config.seed, AGE, who) + 10 * config.drift * config.moment, 1)


def _income(config: Config, who: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Thousands a year: 20 to 110 by segment, ±3."""
    follows = uniform(config.seed, "income follows", who) < _trusted(config)
    level = np.where(follows, (label * 2 * GOLDEN + 0.3) % 1.0, uniform(config.seed, "income level", who))
    return np.round(20 + 90 * level + 3 * normal(config.seed, INCOME, who), 1)


def _trusted(config: Config) -> float:
    """Probability that a numeric attribute follows the segment: there is one draw a user, so no error averages out."""
    return config.strength if "attributes" in config.signals else 0.0


def _choice(config: Config, name: str, who: np.ndarray, label: np.ndarray, options: int) -> np.ndarray:
    draw = uniform(config.seed, name, who)
    follows = uniform(config.seed, f"{name} follows", who) < believed(config, "attributes")
    return np.where(follows, (label + label // options) % options, (draw * options).astype(np.int64))


def _topics(config: Config, owner: np.ndarray, turn: np.ndarray, topics: int) -> np.ndarray:
    """Topic of each text: the label's first, from label 12 on every other text its second, or any."""
    label = profiles(config, "text", owner)
    second = (label + label // topics) % topics
    own = np.where((label >= topics) & (turn % 2 == 1), second, label % topics)
    follows = uniform(config.seed, "topic follows", owner, turn) < believed(config, "text")
    return np.where(follows, own, (uniform(config.seed, "topic", owner, turn) * topics).astype(np.int64))


def _when(config: Config, stream: str, owner: np.ndarray, turn: np.ndarray) -> "pa.Array":
    """UTC moments evenly over the days that lead up to the config's moment."""
    import pyarrow as pa

    end = int(config.as_of.timestamp()) + config.moment * config.days * 86_400
    seconds = end - uniform(config.seed, stream, owner, turn) * config.days * 86_400
    return pa.array((seconds * 1_000_000).astype(np.int64)).cast(pa.timestamp("us", tz="UTC"))
