"""Real texts of mixed length out of installed packages, in fixed shares: titles, chat messages, long documents."""

import json
from importlib.metadata import files
from pathlib import Path

import numpy as np

SHARES = {"titles": 0.05, "messages": 0.80, "documents": 0.15}
"""Shares of MovieLens titles with genres, chitchat messages, and documents (messages of one user, put in a row)."""


def package_file(distribution: str, suffix: str) -> Path:
    """A file of an installed distribution, by how its path ends."""
    return next(Path(str(f.locate())) for f in files(distribution) or () if str(f).endswith(suffix))


def movielens_titles() -> list[str]:
    """Distinct MovieLens-100K titles with their genres."""
    lines = package_file("recbole", "ml-100k.item").read_text(encoding="utf-8").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return list(dict.fromkeys(f"{row[1]}. {row[3]}" for row in rows))


def chitchat() -> dict[str, dict]:
    """Conversations of the chitchat data set by id, as its file has them."""
    return json.loads(package_file("chitchat-dataset", "chitchat_dataset/dataset.json").read_text(encoding="utf-8"))


def messages_by_user() -> dict[str, list[str]]:
    """Non-empty messages of each chitchat user, in order of time within a conversation."""
    users: dict[str, list[str]] = {}
    for conversation in chitchat().values():
        for turn in conversation["messages"]:
            for message in turn:
                if message["text"].strip():
                    users.setdefault(message["sender"], []).append(message["text"])
    return users


def documents(users: dict[str, list[str]], rng: np.random.Generator, n: int) -> list[str]:
    """Distinct documents of 40 to 250 words, each the messages of one user put in a row."""
    made: dict[str, None] = {}
    for messages in users.values():
        words = " ".join(messages).split()
        start = 0
        while start < len(words) and len(made) < n:
            size = int(rng.integers(40, 251))
            if len(words) - start >= 40:
                made[" ".join(words[start : start + size])] = None
            start += size
    return list(made)


def mixed_texts(n: int, seed: int = 0) -> list[str]:
    """`n` distinct texts in the shares of `SHARES`, shuffled; messages fill up what titles and documents lack."""
    rng = np.random.default_rng(seed)
    users = messages_by_user()
    titles, long = movielens_titles(), documents(users, rng, 20_000)
    messages = list(dict.fromkeys(message for own in users.values() for message in own))
    chosen: dict[str, None] = {}
    for texts, share in ((titles, SHARES["titles"]), (long, SHARES["documents"])):
        picked = rng.permutation(len(texts))[: int(n * share)]
        chosen |= dict.fromkeys(texts[i] for i in picked)
    for i in rng.permutation(len(messages)).tolist():
        if len(chosen) == n:
            break
        chosen[messages[i]] = None
    texts = list(chosen)
    return [texts[i] for i in rng.permutation(n)]
