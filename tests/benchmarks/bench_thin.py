"""Where segments are for: users of whom little is known, on MovieLens and Ta-Feng.

A quarter of the users is kept from every fit, segments included, and folded in with the newest 0, 1, 3, 5 or 10 items
of their first 80 %; their last 20 % is to be found. The same users at every number: those with ten items before it and
one in it. MovieLens goes round all four quarters; of Ta-Feng, where what a user has may be bought again and so stays in
the lists, one quarter is enough. Recent popularity is of the last 30 days, decayed halves every 30. The best one-to-one
is settled for each number on a quarter of the others, treated in the same way. Where ways lean on segments, theirs are
told by attributes without an item and by the items with one.

Run: python -m tests.benchmarks.bench_thin [movielens] [ta_feng]; no word: both.
"""

import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

from schemas import tables as t
from schemas.errors import DataError
from tasks.numerics.history import between
from tasks.numerics.hits import clean
from tasks.numerics.interactions import binary, interactions, newer
from tasks.numerics.multiple import compare
from tasks.plugins.find import plugin
from tasks.ranking.accuracy import accuracy
from tasks.recommenders._inner import Trial, part_of
from tasks.sources import ta_feng
from tests.benchmarks._machine import peak_gib, processor
from tests.benchmarks._shops import purchases, segments
from tests.helpers.histories import movielens

EVENTS = (0, 1, 3, 5, 10)
POPULAR = {
    "popular of all time": ("global_popularity", {}),
    "popular of 30 days": ("global_popularity", {"days": 30.0}),
    "popular, decayed": ("global_popularity", {"half_life_days": 30.0}),
}
ONE_TO_ONE = {
    "ease": ("ease", {}),
    "item_knn": ("item_knn", {"half_life": 0.1}),
    "user_knn": ("user_knn", {}),
    "als": ("als", {}),
}
AGAIN = {"tifu_knn": ("tifu_knn", {}), "personal_frequency": ("personal_frequency", {})}
SEGMENT, BEST = "segment popularity", "best one-to-one"


class World:
    """Histories, what comes after them, and who the users are."""

    def __init__(self, frame, told, again):
        users, items = (frame[column].unique().sort().to_list() for column in (t.USER_ID, t.ITEM_ID))
        self.train = interactions(between(frame, 0.0, 0.8), users, items)
        self.test = clean(binary(interactions(between(frame, 0.8, 1.0), users, items)))
        self.again, self.told = again, one_hot(told, users)
        enough = (np.diff(self.train.counts.indptr) >= max(EVENTS)) & (np.diff(self.test.indptr) > 0)
        self.able = np.flatnonzero(enough)

    def ways(self):
        base = {"base": "user_knn"} if self.again else {}
        ladder = {"hybrid": ("hybrid", {}), "segment_aware": ("segment_aware", base)}
        return POPULAR | ONE_TO_ONE | (AGAIN if self.again else {}) | ladder


def one_hot(told, users):
    """(n, a) attributes of the users, as they are told or in ranges."""
    from sklearn.preprocessing import OneHotEncoder

    rows = pl.DataFrame({t.USER_ID: users}).join(told, on=t.USER_ID, how="left", maintain_order="left").drop(t.USER_ID)
    return OneHotEncoder(min_frequency=5, handle_unknown="ignore").fit_transform(rows.fill_null("").to_numpy())


def answers(world, rest, thin, ways):
    """Way -> number of items -> (m, 10) lists for the thin users, by fits on the rest."""
    from sklearn.linear_model import LogisticRegression

    train = world.train.rows(rest)
    labels = segments(train.counts)
    guess = LogisticRegression(max_iter=300).fit(world.told[rest], labels).predict(world.told[thin])
    whole, judge = world.train.rows(thin), Trial(train, labels, train, None)
    views = {n: part_of(whole, newer(whole) < n) for n in EVENTS}
    unknown = np.full(len(thin), -1)
    items = {n: judge.nearest(view) if n else unknown for n, view in views.items()}
    found = {}
    for name, (kind, parameters) in (ways | {SEGMENT: ("segment_popularity", {})}).items():
        module, begin = plugin("recommenders", kind), time.perf_counter()
        try:
            fitted = module.fit(train, None, labels, module.Config(**parameters), np.random.default_rng(0))
        except DataError as error:
            print(f"  {name}: {error}")
            continue
        sources = {"unknown": lambda n: unknown, "by attributes": lambda n: guess, "by items": items.get}
        told = {f"{name}, {source}": of for source, of in sources.items()} if name == SEGMENT else {
            name: lambda n: items[n] if n else guess}  # fmt: skip
        for title, of in told.items():
            found[title] = {n: fitted.of(view, of(n)).recommend(np.arange(len(thin)), 10, not world.again)[0]
                            for n, view in views.items()}  # fmt: skip
        facts = {"hybrid": ("chosen", "left_out"), "segment_aware": ("floor", "strength")}.get(name, ())
        print(f"  {name}: {time.perf_counter() - begin:.1f} s", *(getattr(fitted, fact) for fact in facts), flush=True)
    return found


def recalls(world, found, thin):
    return {name: {n: accuracy(one, world.test[thin])["recall"] for n, one in lists.items()}
            for name, lists in found.items()}  # fmt: skip


def quarter(world, folds, at, within):
    """Users to fit on, and thin ones, of some users."""
    order = np.random.default_rng(0).permutation(within)
    thin = np.intersect1d(order[at::folds], world.able)
    return np.setdiff1d(within, order[at::folds]), thin


def judged(world, at):
    """Recalls of one quarter's thin users, the best one-to-one settled on the others."""
    rest, thin = quarter(world, 4, at, np.arange(world.train.shape[0]))
    inner, few = quarter(world, 4, 0, rest)
    candidates = ONE_TO_ONE | (AGAIN if world.again else {})
    tried = recalls(world, answers(world, inner, few, candidates), few)
    found = recalls(world, answers(world, rest, thin, world.ways()), thin)
    best = {n: max(candidates.keys() & tried.keys(), key=lambda name: tried[name][n].mean()) for n in EVENTS}
    print("  best one-to-one by", best)
    return found | {BEST: {n: found[name][n] for n, name in best.items()}}


def line(name, found, n):
    recent, best = found["popular of 30 days"][n], found[BEST][n]
    own = found[name][n]
    told = compare(np.stack([own, own - recent, own - best], axis=1), 2000, np.random.default_rng(0))
    text = f"{n:>2} {name:<34} {told.value[0]:.4f} [{told.low[0]:.4f}, {told.high[0]:.4f}]"
    for at, (title, floor) in enumerate((("recent", recent.mean()), ("best", best.mean())), 1):
        figures = (100 * side[at] / floor for side in (told.value, told.low, told.high))
        text += " | {} {:+.1f} % [{:+.1f}, {:+.1f}]".format(title, *figures)
    print(text)


def measured(name, world):
    begin, cpu = time.perf_counter(), time.process_time()
    folds = [judged(world, at) for at in range(1 if world.again else 4)]
    found = {way: {n: np.concatenate([fold[way][n] for fold in folds]) for n in EVENTS} for way in folds[0]}
    print(
        f"{name}: {len(found[BEST][0]):,} thin users; recall at 10, against recent popularity and the best one-to-one"
    )
    for n in EVENTS:
        for way in found:
            line(way, found, n)
    print(f"{name}: {time.perf_counter() - begin:.0f} s of wall, {time.process_time() - cpu:.0f} s of CPU, peak "
          f"{peak_gib():.2f} GiB, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")  # fmt: skip


def worlds(name):
    if name == "movielens":
        (folder,) = find_spec("recbole").submodule_search_locations
        raw = pl.read_csv(Path(folder) / "dataset_example/ml-100k/ml-100k.user", separator="\t", infer_schema=False)
        user, age, gender, occupation, _ = raw.columns
        told = raw.select(pl.col(user).alias(t.USER_ID), (pl.col(age).cast(int) // 10).cast(str), gender, occupation)
        return World(movielens(), told, again=False)
    told = pl.concat([pl.DataFrame(one) for one in ta_feng.read(ta_feng.Config(parts=("users",)))["users"]])
    return World(purchases(), told.select(t.USER_ID, "age_group", "pin_code"), again=True)


if __name__ == "__main__":
    print(processor())
    for word in sys.argv[1:] or ("movielens", "ta_feng"):
        measured(word, worlds(word))
