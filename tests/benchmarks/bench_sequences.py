"""Encoders of behaviour as next-item recommenders, on sequences with published figures.

Run: python -m tests.benchmarks.bench_sequences FILE [--kind transformer] [--seeds N] [--set KEY=VALUE ...] [--peers]
FILE has a user per line: a number of the user, then item numbers in order of time. The last item of each user is the
test and the one before it validates; all items are ranked but those of the user's history, as S3-Rec (Zhou et al. 2020)
does. `--peers` adds cornac's SASRec and GRU4Rec, with their defaults but the same sizes, in the same run.
"""

import statistics
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from schemas.interactions import Items
from schemas.sequences import Sequences
from tasks.plugins.find import plugin
from tests.benchmarks._machine import processor

DEPTH = 10
TUNED = {"negatives": 2048, "dropout": 0.5, "item_dropout": 0.0, "learning_rate": 0.002, "epochs": 60, "patience": 8}


def read(path: Path) -> list[np.ndarray]:
    """Histories of item codes, from 0."""
    return [np.array(line.split()[1:], np.int64) - 1 for line in path.read_text().splitlines()]


def sequences(rows: list[np.ndarray]) -> Sequences:
    """Histories whose order is their time."""
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    items, times = np.concatenate(rows), np.concatenate([np.arange(len(row), dtype=float) for row in rows])
    return Sequences(starts, items, np.zeros(len(items), np.int64), times)


def measured(rows: list[np.ndarray], scores: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    """Recall@10 and NDCG@10 of each user's last item; `scores` gives (b, items) of users by number."""
    found = []
    for some in np.array_split(np.arange(len(rows)), -(-len(rows) // 512)):
        table = scores(some).copy()
        for row, user in enumerate(some):
            *seen, target = rows[user]
            own = table[row, target]
            table[row, seen] = -np.inf
            found.append(int((table[row] > own).sum()))
    rank = np.array(found)
    return float((rank < DEPTH).mean()), float(np.where(rank < DEPTH, 1 / np.log2(rank + 2), 0).mean())


def ours(kind: str, options: dict, rows: list[np.ndarray], items: int, seed: int) -> tuple[float, float]:
    """Trains one encoder and measures it."""
    module = plugin("behaviour_encoders", kind)
    history = sequences([row[:-1] for row in rows])
    made = module.fit([history], Items(np.arange(items)), module.Config(**options), np.random.default_rng(seed), "cpu")
    vectors, table = made.encode(history), made.arrays()["table"]
    return measured(rows, lambda some: vectors[some] @ table.T)


def peer(name: str, rows: list[np.ndarray], items: int, seed: int) -> tuple[float, float]:
    """cornac's model of a name, trained on the same histories."""
    import cornac
    from cornac.data import SequentialDataset

    told = [(str(u), f"{u}-0", str(i), t) for u, row in enumerate(rows) for t, i in enumerate(row[:-1])]
    train = SequentialDataset.build(told, fmt="USIT", seed=seed)
    model = getattr(cornac.models, name)(seed=seed, verbose=False)
    model.fit(train)
    code = np.array([train.iid_map.get(str(item), -1) for item in range(items)])

    def scores(some: np.ndarray) -> np.ndarray:
        out = np.full((len(some), items), -np.inf, np.float32)
        for row, user in enumerate(some):
            history = [code[item] for item in rows[user][:-1]]
            found = np.asarray(model.score(user, [item for item in history if item >= 0]))
            out[row, code >= 0] = found[code[code >= 0]]
        return out

    return measured(rows, scores)


def main() -> None:
    """Trains under each seed and prints medians and spread."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--kind", default="transformer")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--peers", action="store_true")
    asked = parser.parse_args()
    rows, told = read(asked.file), dict(one.split("=", 1) for one in asked.set)
    items = int(max(row.max() for row in rows)) + 1
    options = {**TUNED, **{key: yaml.safe_load(value) for key, value in told.items()}}
    print(processor())
    print(f"{asked.file.name}: {len(rows):,} users, {items:,} items, {sum(map(len, rows)):,} events; {options}")
    for name in (asked.kind, *(("SASRec", "GRU4Rec") if asked.peers else ())):
        found = []
        for seed in range(asked.seeds):
            begun = time.perf_counter()
            known = name == asked.kind
            figures = ours(name, options, rows, items, seed) if known else peer(name, rows, items, seed)
            found.append(figures)
            seconds = time.perf_counter() - begun
            print(f"{name}, seed {seed}: recall {figures[0]:.4f}, NDCG {figures[1]:.4f}, {seconds:.0f} s", flush=True)
        for what, values in zip(("recall@10", "NDCG@10"), zip(*found, strict=True), strict=True):
            print(f"{name} {what}: median {statistics.median(values):.4f}, {min(values):.4f} to {max(values):.4f}")


if __name__ == "__main__":
    main()
