"""Seconds and memory of the whole table of ways to recommend, by the per-user protocol, on Ta-Feng.

Every kind of recommender there is, five draws of random segments, all measures, intervals and verdicts. Segments are 20
K-Means groups of a truncated SVD of the train slice, which is not timed, nor is reading.

Run: python -m tests.benchmarks.bench_table
"""

import os
import time

import numpy as np
import polars as pl
import scipy.sparse as sp

from schemas import tables as t
from schemas.config import EvaluateConfig
from schemas.interactions import Items
from schemas.yardsticks import RANDOM, SEGMENTS
from tasks.numerics.history import between
from tasks.numerics.hits import clean
from tasks.numerics.interactions import binary, interactions
from tasks.numerics.multiple import compare
from tasks.sources import ta_feng
from tasks.yardsticks.split import Split
from tasks.yardsticks.table import measured
from tests.benchmarks._machine import peak_gib, processor
from tests.benchmarks._shops import purchases, segments


def catalogue(items):
    """Items with their product subclasses."""
    told = pl.concat([pl.DataFrame(one) for one in ta_feng.read(ta_feng.Config(parts=("items",)))["items"]])
    pairs = told.select(t.ITEM_ID, t.CATEGORIES).explode(t.CATEGORIES).drop_nulls().unique()
    rows = pl.DataFrame({t.ITEM_ID: items}).with_row_index("row")
    pairs = pairs.join(rows, on=t.ITEM_ID)
    columns = pairs[t.CATEGORIES].rank("dense").to_numpy().astype(int) - 1
    shape = (len(items), int(columns.max()) + 1)
    return Items(np.array(items), None, sp.csr_matrix((np.ones(len(pairs)), (pairs["row"].to_numpy(), columns)), shape))


def split_of_purchases():
    frame = purchases()
    users, items = (frame[column].unique().sort().to_list() for column in (t.USER_ID, t.ITEM_ID))
    train = interactions(between(frame, 0.0, 0.8), users, items)
    test = clean(binary(interactions(between(frame, 0.8, 1.0), users, items)))
    return Split(train, test, np.arange(len(users)), catalogue(items), 10)


def comparisons():
    """Prints what 30 comparisons of 32,000 users cost: figures that are random, 200 resamples."""
    rng = np.random.default_rng(6)
    gaps, cpu = rng.normal(size=(32_000, 30)), time.process_time()
    compare(gaps, 200, rng)
    print(f"30 comparisons of 32,000 users: {time.process_time() - cpu:.1f} s of CPU")


def main():
    """Prints the table, and what it cost."""
    comparisons()
    split, rng = split_of_purchases(), np.random.default_rng(0)
    labels = segments(split.train.counts)
    groups = {SEGMENTS: labels[None], RANDOM: np.stack([rng.permutation(labels) for _ in range(5)])}
    members = {f"s{k:03d}": labels == k for k in range(20)}
    before = peak_gib()
    begin, cpu = time.perf_counter(), time.process_time()
    told = measured("user", split, groups, members, EvaluateConfig(), 0)
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    for way in sorted(told.ways, key=lambda one: -one.seconds):
        figures = ", ".join(f"{name} {way.figures[name]:.4f}" for name in ("precision", "recall", "coverage"))
        print(f"{way.name:<20} {way.seconds:6.2f} s  {figures}")
    for name, why in told.skipped.items():
        print(f"{name:<20} skipped: {why}")
    fits = sum(way.seconds * (5 if way.name == RANDOM else 1) for way in told.ways)
    print(f"{wall:.1f} s of wall, {cpu:.1f} s of CPU ({fits:.1f} s of wall in lists, the rest in figures); peak "
          f"{peak_gib():.2f} GiB ({before:.2f} before); load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors; "
          f"{processor()}")  # fmt: skip


if __name__ == "__main__":
    main()
