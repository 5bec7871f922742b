"""Groceries are bought again: Ta-Feng under the global date split with repeats allowed, beside cornac's TIFU-KNN.

Everything learns from the purchases up to a day and is measured on what the same users bought after it, all of it. The
day is where 80 % of the purchases are made; parameters are chosen by the day where 64 % are, on what came up to the
other. cornac 3.0.1 takes the mean of its neighbours over users *and* items (`np.mean` without an axis), so that they
add a constant and its ranking is that of the personal vector; it is measured as it is shipped, and with that mended:
its vectors, exact Euclidean neighbours, alpha and their number chosen by the same day as ours. A day is a basket.

Run: python -m tests.benchmarks.bench_repeats [USERS]; USERS: as many by chance, for a look; none: all.
"""

import os
import sys
import time
from itertools import product

import numpy as np
import polars as pl
import scipy.sparse as sp
from cornac.models import TIFUKNN

from schemas import tables as t
from tasks.numerics.hits import clean
from tasks.numerics.interactions import binary, interactions
from tasks.numerics.multiple import compare
from tasks.plugins.find import plugin
from tasks.ranking.accuracy import accuracy
from tasks.ranking.highest import highest
from tests.benchmarks._machine import peak_gib, processor
from tests.benchmarks._shops import purchases, segments

DECAYS = (7.0, 14.0, 30.0, 60.0, 120.0, None)
CHUNK = 512


class Dated:
    """Purchases up to a share of them, and what the same users bought from there to another."""

    def __init__(self, frame, low, high):
        stamps = frame[t.TIMESTAMP].sort()
        first, last = (stamps[int(share * (len(stamps) - 1))] for share in (low, high))
        self.early = frame.filter(pl.col(t.TIMESTAMP) <= first)
        late = frame.filter((pl.col(t.TIMESTAMP) > first) & (pl.col(t.TIMESTAMP) <= last))
        self.users = self.early[t.USER_ID].unique().sort().to_list()
        self.items = self.early[t.ITEM_ID].unique().sort().to_list()
        self.train = interactions(self.early, self.users, self.items)
        test = clean(binary(interactions(late, self.users, self.items)))
        self.asked = np.flatnonzero(np.diff(test.indptr))
        self.wanted, self.labels = test[self.asked], segments(self.train.counts)
        came = late[t.USER_ID].n_unique()
        self.title = f"up to {first:%Y-%m-%d}, then to {last:%Y-%m-%d}: {len(self.users):,} users, "
        self.title += f"{len(self.asked):,} asked of {came:,} who came after it, {len(self.items):,} items"

    def ours(self, kind, **parameters):
        """(m, 10) lists of a recommender of ours."""
        module = plugin("recommenders", kind)
        config = module.Config(**parameters)
        fitted = module.fit(self.train, None, self.labels, config, np.random.default_rng(0))
        return fitted.recommend(self.asked, 10, exclude_seen=False)[0]

    def best(self, kind, options):
        """The options with the highest recall."""
        found = [(self.recall(self.ours(kind, **one)).mean(), at) for at, one in enumerate(options)]
        return options[max(found, key=lambda pair: (pair[0], -pair[1]))[1]]

    def recall(self, chosen):
        return accuracy(chosen, self.wanted)["recall"]

    def baskets(self):
        """Of each user the lists of item numbers of each day."""
        place = {item: at for at, item in enumerate(self.items)}
        days = self.early.group_by(t.USER_ID, t.TIMESTAMP).agg(t.ITEM_ID).sort(t.USER_ID, t.TIMESTAMP)
        own = {user: [] for user in self.users}
        for user, basket in days.select(t.USER_ID, t.ITEM_ID).iter_rows():
            own[user].append([place[item] for item in basket])
        return list(own.values())


class Peer:
    """cornac's user vectors under its defaults, which are the paper's for Ta-Feng."""

    def __init__(self, dated):
        model = TIFUKNN()
        model.iid_map = dict.fromkeys(dated.items)  # says how many items there are; its KD-tree would take 9 GB
        rows = [sp.csr_matrix(model._compute_user_vector(own)) for own in dated.baskets()]
        self.vectors = sp.vstack(rows).tocsr().astype(np.float32)
        self.own = self.vectors[dated.asked]

    def shipped(self):
        """(m, 10) lists as cornac ranks them: neighbours add one number to all scores."""
        return np.concatenate([highest(self.own[at : at + CHUNK].toarray(), 10)[0]
                               for at in range(0, self.own.shape[0], CHUNK)])  # fmt: skip

    def mended(self, settings):
        """For each (neighbours, alpha) the (m, 10) lists of the paper's definition."""
        squares = np.asarray(self.vectors.multiply(self.vectors).sum(axis=1)).ravel()
        columns, lists = self.vectors.T.tocsr(), {one: [] for one in settings}
        most = max(neighbours for neighbours, _ in settings)
        for at in range(0, self.own.shape[0], CHUNK):
            own = self.own[at : at + CHUNK]
            near = highest(2 * (own @ columns).toarray() - squares, most)[0]
            for neighbours, alpha in settings:
                some = near[:, :neighbours]
                ends = np.arange(len(some) + 1) * some.shape[1]
                mean = sp.csr_matrix((np.full(some.size, 1 / some.shape[1], np.float32), some.ravel(), ends),
                                     (len(some), len(squares)))  # fmt: skip
                scores = (alpha * own + (1 - alpha) * (mean @ self.vectors)).toarray()
                lists[neighbours, alpha].append(highest(scores, 10)[0])
        return {one: np.concatenate(parts) for one, parts in lists.items()}


def chosen(validation):
    """Name -> (kind, parameters), settled before the day of the test."""
    decays = [{"half_life_days": days} for days in DECAYS]
    near = [{"neighbours": k, "alpha": a, "half_life_days": h}
            for k, a, h in product((100, 300, 900), (0.3, 0.5, 0.7), (30.0, 60.0, 120.0))]  # fmt: skip
    return {
        "global popularity": ("global_popularity", {}),
        "recent popularity (30 days)": ("global_popularity", {"days": 30.0}),
        "decayed popularity": ("global_popularity", validation.best("global_popularity", decays)),
        "segment popularity": ("segment_popularity", validation.best("segment_popularity", decays)),
        "personal frequency": ("personal_frequency", validation.best("personal_frequency", decays)),
        "user-kNN": ("user_knn", validation.best("user_knn", [{"neighbours": k} for k in (40, 100, 300)])),
        "tifu_knn (ours)": ("tifu_knn", validation.best("tifu_knn", near)),
    }


def main(frame):
    """Prints a line for each way: its figures, and the difference of ours to it."""
    validation, test = Dated(frame, 0.64, 0.8), Dated(frame, 0.8, 1.0)
    print(f"validation {validation.title}\ntest {test.title}", flush=True)
    ours, begin, lists = chosen(validation), time.perf_counter(), {}
    for name, (kind, parameters) in ours.items():
        lists[f"{name} {parameters or ''}"] = test.ours(kind, **parameters)
    print(f"ours took {time.perf_counter() - begin:.0f} s on the test", flush=True)
    tried = Peer(validation).mended(list(product((100, 300, 900), (0.3, 0.5, 0.7, 0.9))))
    best = max(tried, key=lambda one: validation.recall(tried[one]).mean())
    peer = Peer(test)
    lists["cornac's TIFU-KNN, as shipped"] = peer.shipped()
    for name, one in (("defaults", (300, 0.7)), ("tuned", best)):
        lists[f"cornac's TIFU-KNN, mended, {name} {one}"] = peer.mended([one])[one]
    reported(lists, test)


def reported(lists, test):
    figures = {name: accuracy(one, test.wanted) for name, one in lists.items()}
    (ours,) = [one for name, one in figures.items() if name.startswith("tifu_knn")]
    for name, one in figures.items():
        for measure in ("precision", "recall"):
            both = np.stack([one[measure], ours[measure] - one[measure]], axis=1)
            found = compare(both, 2000, np.random.default_rng(0))
            print(f"{name}: {measure} {found.value[0]:.4f} [{found.low[0]:.4f}, {found.high[0]:.4f}]; tifu_knn less it "
                  f"{found.value[1]:+.4f} [{found.low[1]:+.4f}, {found.high[1]:+.4f}]")  # fmt: skip
    print(f"peak {peak_gib():.2f} GiB, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors; {processor()}")


if __name__ == "__main__":
    whole = purchases()
    if len(sys.argv) > 1:
        few = whole[t.USER_ID].unique().sort().sample(int(sys.argv[1]), seed=0)
        whole = whole.filter(pl.col(t.USER_ID).is_in(few.implode()))
    main(whole)
