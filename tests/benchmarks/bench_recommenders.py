"""Recommenders by the per-user protocol: precision, recall and coverage at 10, and seconds, on MovieLens and Ta-Feng.

Each user's first 80 % of events train and the rest tests; seen items are left out, but for personal frequency's second
line. Segments, where a recommender knows them, are 20 K-Means groups of a truncated SVD of the train slice.

Run: python -m tests.benchmarks.bench_recommenders [movielens] [ta_feng]; no word: both.
"""

import sys
import time

import numpy as np

from schemas import tables as t
from schemas.errors import DataError
from tasks.numerics.history import between
from tasks.numerics.hits import clean, judged, rates
from tasks.numerics.interactions import binary, interactions
from tasks.plugins.find import plugin
from tests.benchmarks._machine import peak_gib, processor
from tests.benchmarks._shops import purchases, segments
from tests.helpers.histories import movielens

LADDER = (
    ("global_popularity", {}, True),
    ("global_popularity", {"days": 14.0}, True),
    ("global_popularity", {"half_life_days": 14.0}, True),
    ("personal_frequency", {}, True),
    ("personal_frequency", {}, False),
    ("segment_popularity", {}, True),
    ("segment_popularity", {"strength": 20.0}, True),
    ("item_knn", {}, True),
    ("item_knn", {"neighbours": 50, "half_life": 0.1}, True),
    ("user_knn", {}, True),
    ("user_knn", {"within": "segment"}, True),
    ("als", {}, True),
    ("ease", {"half_life": None, "l2": 100.0}, True),
    ("ease", {}, True),
)


def table(name, frame):
    begin = time.perf_counter()
    users, items = (frame[column].unique().sort().to_list() for column in (t.USER_ID, t.ITEM_ID))
    train = interactions(between(frame, 0.0, 0.8), users, items)
    test = clean(binary(interactions(between(frame, 0.8, 1.0), users, items)))
    labels = segments(train.counts)
    print(f"{name}: {len(users):,} users, {len(items):,} items, {len(frame):,} events, "
          f"{train.counts.nnz:,} train cells; read and segmented in {time.perf_counter() - begin:.1f} s")  # fmt: skip
    begin = time.perf_counter()
    for kind, parameters, exclude_seen in LADDER:
        line(kind, parameters, exclude_seen, train, test, labels)
    print(f"{name}: the ladder took {time.perf_counter() - begin:.1f} s, peak of the process {peak_gib():.2f} GiB")


def line(kind, parameters, exclude_seen, train, test, labels):
    module, n = plugin("recommenders", kind), len(labels)
    title = " ".join([kind, *(f"{key}={value}" for key, value in parameters.items())])
    title += "" if exclude_seen else " (seen items stay)"
    begin, cpu = time.perf_counter(), time.process_time()
    try:
        fitted = module.fit(train, None, labels, module.Config(**parameters), np.random.default_rng(0))
    except DataError as error:
        print(f"{title}: {error}")
        return
    middle = time.perf_counter()
    outcome = judged(fitted.recommend(np.arange(n), 10, exclude_seen)[0], test)
    end, cpu = time.perf_counter(), time.process_time() - cpu
    precision, recall = rates(outcome.hits, np.diff(test.indptr), 10)
    print(f"{title}: precision {precision:.4f}, recall {recall:.4f}, "
          f"coverage {outcome.recommended / test.shape[1]:.3f}, fit {middle - begin:.2f} s, "
          f"recommend {end - middle:.2f} s ({cpu:.1f} s of CPU)", flush=True)  # fmt: skip


if __name__ == "__main__":
    print(processor())
    for part in sys.argv[1:] or ("movielens", "ta_feng"):
        table(part, movielens() if part == "movielens" else purchases())
