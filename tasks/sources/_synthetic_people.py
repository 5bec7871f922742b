"""Who belongs to which planted segment, at either moment."""

import numpy as np

from tasks.sources._synthetic_config import Config, Signal
from tasks.sources._synthetic_random import uniform

GOLDEN = 0.6180339887498949


def sizes(config: Config) -> np.ndarray:
    """(segments,) expected shares of users at moment 0."""
    weights = (1.0 + np.arange(config.segments)) ** -config.imbalance
    return weights / weights.sum()


def planted(config: Config, signal: Signal, users: np.ndarray) -> np.ndarray:
    """(n,) int64 planted labels of user numbers; −1 where the user is gone."""
    edges = np.cumsum(sizes(config))[:-1]
    labels = np.searchsorted(edges, uniform(config.seed, f"label {signal}", users), side="right")
    return _changed(config, signal, users, labels) if config.moment else labels


def _changed(config: Config, signal: Signal, users: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Applies the changes of one signal to the labels of moment 0. New users only ever fill appearing segments."""
    labels = before.copy()
    fresh = users >= config.users
    changes = [change for change in config.changes if change.signal == signal]
    born, appearing = config.segments, []
    for number, change in enumerate(changes):
        draw = uniform(config.seed, f"change {signal} {number}", users)
        if change.kind == "split":
            labels[(before == change.segments[0]) & (draw < 0.5)] = born
        elif change.kind == "merge":
            labels[before == change.segments[1]] = change.segments[0]
        elif change.kind == "vanish":
            labels[before == change.segments[0]] = -1
        elif config.new_users > 0:
            appearing.append(born)
        else:
            labels[draw < 1 / (config.segments + 1)] = born
        born += change.kind in ("split", "appear")
    if appearing:
        labels[fresh] = np.asarray(appearing)[users[fresh] % len(appearing)]
    return labels


def present(config: Config, users: np.ndarray) -> np.ndarray:
    """The user numbers that are not gone at the config's moment."""
    keep = np.ones(len(users), dtype=bool)
    for signal in {change.signal for change in config.changes if change.kind == "vanish"}:
        keep &= planted(config, signal, users) >= 0
    return users[keep]


def profiles(config: Config, signal: Signal, users: np.ndarray) -> np.ndarray:
    """(n,) label that shapes a user's data: the planted one, or 0 for all where the signal carries nothing."""
    return planted(config, signal, users) if signal in config.signals else np.zeros(len(users), dtype=np.int64)


def believed(config: Config, signal: Signal) -> float:
    """Probability that one draw follows the user's segment rather than the background."""
    return 0.95 * config.strength if signal in config.signals else 0.0


def user_ids(users: np.ndarray) -> np.ndarray:
    """(n,) ids of user numbers, as texts."""
    return np.char.add("u", np.char.zfill(users.astype(str), 7)) if len(users) else np.empty(0, dtype="<U8")
