"""A hundred retrains on synthetic shops that change: do promoted models serve their readers better than what they had?

Each shop is retrained three times: before its change, and twice after it, with drift, a third more users, and a segment
that is split, merged, born or gone. After each promotion over a champion both are measured on the period that follows,
which neither had seen: hits among ten recommendations to each user, from everything that was known at the retrain, by
the segments as readers had them before and as they have them now.

Run: python -m tests.benchmarks.bench_generations [shops]
"""

import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flows.config import parse
from tasks.sources.synthetic import Config, read
from tests.benchmarks._flows import served
from tests.helpers.shops import NAME, SETTINGS, Shop

CHANGES = {"split": [0], "merge": [0, 1], "appear": [], "vanish": [2]}
PERIOD = timedelta(days=45)


class Changing(Shop):
    """A synthetic shop, looked at from some moment."""

    def __init__(self, place, seed):
        super().__init__(place, seed)
        kind = list(CHANGES)[seed % len(CHANGES)]
        change = {"signal": "interest", "kind": kind, "segments": CHANGES[kind]}
        rest = {"users": 400, "events_per_user": 30, "items": 120, "texts_per_user": 0, "edges_per_user": 0}
        self.planted = {**rest, "segments": 4, "strength": 0.8, "seed": seed, "drift": 0.3, "new_users": 0.3,
                        "changes": [change], "signals": ["interest"], "kind": "synthetic"}  # fmt: skip

    def retrain_at(self, moment, as_of, seed):
        from flows.retrain import retrain

        config = {
            **SETTINGS, "source": {**self.planted, "moment": moment}, "as_of": as_of.isoformat(), "seed": seed,
            "features": [{"kind": "interest"}, {"kind": "collaborative", "dimensions": 8}],
            "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [3, 4, 5, 6]}}]},
            "gates": {"max_churn": 0.5, "row_change": [0.1, 10]},
        }  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FENQUN_HOME", self.home)
            return retrain(parse(config, NAME))


def interactions(planted, moment):
    """What happened up to the end of a moment: user, item, time."""
    tables = read(Config(**{**planted, "moment": moment}))
    return pl.concat([pl.from_arrow(batch) for batch in tables["events"]]).select("user_id", "item_id", "timestamp")


def hits(events, told, as_of):
    """User -> hits among ten items of the user's segment, in the period after `as_of`."""
    from tasks.metrics.heldout_lift import Resampling, heldout_lift
    from tasks.numerics.interactions import cells, matrix_of

    users, items = (events[name].unique().sort() for name in ("user_id", "item_id"))
    when = pl.col("timestamp")
    parts = events.filter(when <= as_of), events.filter((when > as_of) & (when <= as_of + PERIOD))
    train, test = (matrix_of([cells(part, users, items)], len(users), len(items), binary=True) for part in parts)
    ids = {name: number for number, name in enumerate(sorted({s for s in told.values() if s}))}
    labels = np.array([ids.get(told.get(user), -1) for user in users])
    return heldout_lift(train, test, labels, resampling=Resampling(0, 0)).hits[0], test.getnnz(axis=1)


def generations(place, seed):
    """For each promotion over a champion: differences of hits, new less old, of the users who did something."""
    shop, found, refused = Changing(place, seed), [], 0
    start = datetime.fromisoformat(str(Config(**shop.planted).as_of))
    assert shop.retrain_at(0, start, seed).promoted
    events = interactions(shop.planted, 1)
    for number, as_of in enumerate((start + PERIOD, start + 2 * PERIOD - timedelta(days=20)), 1):
        before = shop.told()
        told = shop.retrain_at(1, as_of, 10 * seed + number)
        if not told.promoted:
            refused += 1
            print(f"shop {seed}, retrain {number}: refused by {[g.name for g in told.verdict.failures]}", flush=True)
            continue
        (old, active), (new, _) = hits(events, before, as_of), hits(events, shop.told(), as_of)
        found.append((new - old)[active > 0])
        print(f"shop {seed}, retrain {number}: {told.chosen}, {found[-1].mean():+.3f} hits", flush=True)
    return found, refused


def main():
    shops, rng = int(sys.argv[1]) if len(sys.argv) > 1 else 34, np.random.default_rng(0)
    with served() as place:
        made = [generations(Path(place) / str(seed), seed) for seed in range(shops)]
    gains = [gap.mean() for found, _ in made for gap in found]
    low, high = np.quantile([rng.choice(gains, len(gains)).mean() for _ in range(2000)], [0.025, 0.975])
    print(
        f"{3 * shops} retrains, {len(gains)} promoted over a champion, {sum(r for _, r in made)} refused: hits of ten "
        f"in the next period, promoted less what readers had: {np.mean(gains):+.3f} [{low:+.3f}, {high:+.3f}]"
    )


if __name__ == "__main__":
    main()
