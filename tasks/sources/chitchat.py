"""Chit Chat Challenge: 258,145 English messages of 1,315 users in 7,168 conversations, with timestamps.

It is read in place from the package chitchat-dataset (MIT). It is very skewed: one user wrote 25,000 messages, the
median user 17.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from schemas.batches import Reading
from schemas.config import Section
from schemas.tables import DST, EVENT, ITEM_ID, KIND, SRC, TEXT, TIMESTAMP, TITLE, USER_ID, VALUE, WEIGHT
from tasks.sources._packages import packaged, stamp, stamps

if TYPE_CHECKING:
    import pyarrow as pa

INCREMENTAL = False

_ROWS = 50_000
Conversation = dict[str, Any]
Row = tuple[Any, ...]


class Config(Section):
    """Chit Chat Challenge from the package chitchat-dataset."""

    kind: Literal["chitchat"] = "chitchat"
    parts: tuple[Literal["texts", "edges", "events", "items"], ...] = Field(
        ("texts", "edges"), description="texts: messages; edges: who talked with whom; events and items: the prompts"
    )


def _path() -> Path:
    return packaged("chitchat-dataset", "0.9.0", "chitchat_dataset/dataset.json")


def snapshot(config: Config) -> dict[str, str]:
    """Size and time of modification of the file."""
    return stamps({"chitchat": _path()})


def read(config: Config, since: Mapping[str, str] | None = None) -> "dict[str, Iterator[pa.RecordBatch]]":
    """Messages as texts; pairs of users as edges weighted by their conversations; prompts as items of events.

    Args:
        config: What to read.
        since: Ignored: the data set never changes.
    """
    makers = {
        "texts": ((USER_ID, TIMESTAMP, TEXT, KIND), _messages),
        "edges": ((SRC, DST, WEIGHT, TIMESTAMP), _pairs),
        "events": ((USER_ID, ITEM_ID, EVENT, TIMESTAMP, VALUE), _talks),
        "items": ((ITEM_ID, TITLE), _prompts),
    }
    return {part: _batches(part, *makers[part]) for part in config.parts}


@lru_cache(maxsize=1)
def _load(path: Path, stamped: str) -> tuple[Conversation, ...]:
    """The conversations; the file is one JSON object, so it is parsed once for all tables."""
    return tuple(json.loads(path.read_text(encoding="utf-8")).values())


def _batches(part: str, names: tuple[str, ...], make: Any) -> "Iterator[pa.RecordBatch]":
    """Rows of one table in batches."""
    import pyarrow as pa

    path = _path()
    rows = make(_load(path, stamp(path)))
    for start in range(0, len(rows), _ROWS):
        columns = zip(*rows[start : start + _ROWS], strict=True)
        batch = pa.RecordBatch.from_arrays([pa.array(values) for values in columns], list(names))
        yield Reading(origin=f"{path.name}#{part}", first_row=start + 1).mark(batch)


def _said(conversation: Conversation) -> list[dict[str, str]]:
    """The messages of a conversation in order."""
    return [message for turn in conversation["messages"] for message in turn]


def _messages(conversations: tuple[Conversation, ...]) -> list[Row]:
    return [(m["sender"], m["timestamp"], m["text"], "message") for c in conversations for m in _said(c)]


def _pairs(conversations: tuple[Conversation, ...]) -> list[Row]:
    """Pairs of users (in alphabetical order), number of conversations, time of the first message."""
    found: dict[tuple[str, str], tuple[float, str]] = {}
    for messages in map(_said, conversations):
        who = sorted({message["sender"] for message in messages})
        if len(who) == 2:
            weight, first = found.get((who[0], who[1]), (0.0, messages[0]["timestamp"]))
            found[who[0], who[1]] = (weight + 1, min(first, messages[0]["timestamp"]))
    return [(*pair, weight, first) for pair, (weight, first) in found.items()]


def _talks(conversations: tuple[Conversation, ...]) -> list[Row]:
    """A user talked about a prompt; the value is the mean of the conversation's ratings, where it was rated."""
    rows: list[Row] = []
    for conversation in conversations:
        if not (prompt := conversation.get("prompt")):
            continue
        ratings = conversation.get("ratings")
        first: dict[str, str] = {}
        for message in _said(conversation):
            first.setdefault(message["sender"], message["timestamp"])
        value = float(mean(ratings.values())) if ratings else None
        rows += [(user, prompt, "talk", time, value) for user, time in first.items()]
    return rows


def _prompts(conversations: tuple[Conversation, ...]) -> list[Row]:
    return [(p, p) for p in dict.fromkeys(c["prompt"] for c in conversations if c.get("prompt"))]
