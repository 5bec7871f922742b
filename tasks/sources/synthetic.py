"""Planted segments with known truth: any number of users, five independent signals, changes, drift and dirt.

Each signal carries a segmentation of its own, so a feature family must recover the one planted in its signal and stay
ignorant of the others. A user's data depend on (seed, user) alone; only whom a user is tied to depends on who exists.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from schemas.tables import USER_ID
from tasks.sources._synthetic_config import SIGNALS, Change, Config, Dirt

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["Change", "Config", "Dirt", "dirt", "read", "snapshot", "truth"]


def read(config: Config, since: Mapping[str, str] | None = None) -> "dict[str, Iterator[pa.RecordBatch]]":
    """Streams the tables; a batch is made when it is asked for and not kept.

    Args:
        config: What is planted.
        since: A former `snapshot`; where it is that of this config nothing is new, and the iterators are empty.

    Returns:
        Table name -> batches in the contract's columns; the schema metadata hold `origin` and `first_row` (from 1).
    """
    from tasks.sources import _synthetic_events, _synthetic_tables

    makers = {"events": _synthetic_events.batches, "users": _synthetic_tables.users, "items": _synthetic_tables.items}
    if config.texts_per_user:
        makers["texts"] = _synthetic_tables.texts
    if config.edges_per_user and config.population > 1:
        makers["edges"] = _synthetic_tables.edges
    if since is not None and dict(since) == snapshot(config):
        return {name: iter(()) for name in makers}
    return {name: make(config) for name, make in makers.items()}


def truth(config: Config) -> "dict[str, np.ndarray]":
    """What was planted, aligned: `user_id` (n,) texts, and per signal (n,) int64 labels at the config's moment."""
    import numpy as np

    from tasks.sources._synthetic_people import planted, present, user_ids

    users = present(config, np.arange(config.population))
    return {USER_ID: user_ids(users), **{signal: planted(config, signal, users) for signal in SIGNALS}}


def dirt(config: Config) -> dict[str, int]:
    """Event rows that are spoilt in each way."""
    from tasks.sources._synthetic_dirt import dirt_counts
    from tasks.sources._synthetic_events import total_events

    return dirt_counts(config, total_events(config))


def snapshot(config: Config) -> dict[str, str]:
    """What identifies the data: a digest of the config per table, leaving out how it is cut into batches."""
    facts = config.model_dump(mode="json", exclude={"batch_rows"})
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return dict.fromkeys(("events", "users", "items", "texts", "edges"), digest)
