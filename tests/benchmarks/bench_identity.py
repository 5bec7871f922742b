"""Who changes segment at a retrain of MovieLens-100K, through the whole flow, and which ids are lost.

One user in twenty is not there at the first retrain; the second sees all of them, under another seed. An id keeps the
rule where half of the members that are still known stay together and make half of the known members of their new
segment: those that keep it and are called otherwise are lost.

Run: python -m tests.benchmarks.bench_identity [seeds]
"""

import sys

import numpy as np
import pyarrow as pa
from pyarrow import compute

from flows.config import load
from tests.benchmarks._flows import served
from tests.helpers.shops import patched

CONFIG = "deployments/configs/movielens.yaml"


def without(newcomers):
    """MovieLens' source as it was before these users came, and as it is."""
    from tasks.sources import movielens_100k as real

    def read(config, since=None):
        tables = reading(config, since)
        return {name: left(batches) if name in ("events", "users") else batches for name, batches in tables.items()}

    def left(batches):
        for batch in batches:
            yield batch.filter(compute.invert(compute.is_in(batch["user_id"], pa.array(newcomers))))

    reading, snapshot = real.read, real.snapshot
    return {
        "tasks.sources.movielens_100k.read": read,
        "tasks.sources.movielens_100k.snapshot": lambda config: {**snapshot(config), "without": str(len(newcomers))},
    }


def once(home, seed):
    """(users with a published segment who moved, all of them, ids that keep the rule, those of them that are lost)."""
    from flows.retrain import retrain
    from tasks.stores import tables

    name, users = f"movielens-{seed}", np.array([str(user) for user in range(1, 944)])
    newcomers = np.random.default_rng(seed).choice(users, len(users) // 20, replace=False).tolist()

    def run(number):
        rest = [f"segmentation={name}", f"seed={number}", "ledger.log_figures=false"]
        told = retrain(load(CONFIG, rest))
        assert told.promoted, told.verdict.failures
        found = tables.published(home, name, "assignments").select("user_id", "segment_id")
        return told, found

    with patched(without(newcomers)):
        _, before = run(seed)
    told, after = run(100 + seed)
    both = before.drop_nulls().join(after, on="user_id", suffix="_new")
    moved = int(both["segment_id"].ne_missing(both["segment_id_new"]).sum())
    kept = keeping(both)
    lost = [one for one, new in kept if one != new]
    print(f"seed {seed}: {told.chosen}, {moved} of {len(both)} moved, {len(lost)} of {len(kept)} ids lost", flush=True)
    return moved, len(both), len(kept), len(lost)


def keeping(both):
    """Old and new ids of the segments that keep the rule, by a plain rewrite of it."""
    table = both.drop_nulls().group_by("segment_id", "segment_id_new").len()
    old = dict(both.group_by("segment_id").len().iter_rows())
    new = dict(both.drop_nulls().group_by("segment_id_new").len().iter_rows())
    return [(a, b) for a, b, n in table.iter_rows() if n >= 0.5 * old[a] and n >= 0.5 * new[b] and 2 * n > old[a]]


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with served() as home:
        rows = np.array([once(home, seed) for seed in range(seeds)])
    moved, known, kept, lost = rows.sum(axis=0)
    print(
        f"MovieLens-100K, {seeds} seeds, through the flow: moved {moved / known:.2%} of users with a published segment "
        f"(most {(rows[:, 0] / rows[:, 1]).max():.2%}); {lost} of {kept} rule-keeping ids lost"
    )


if __name__ == "__main__":
    main()
