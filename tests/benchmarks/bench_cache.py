"""Looking up a million cached texts: python -m tests.benchmarks.bench_cache [texts]. Aim: < 10 s, < 500 MB on top."""

import resource
import sys
import tempfile
import time

import numpy as np

from tasks.stores.embeddings import EmbeddingCache

DIM = 384


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(0)
    texts = [f"a review of product number {i}, which I liked" for i in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(folder, "benchmark", DIM)
        start = time.perf_counter()
        for first in range(0, count, 50_000):
            some = texts[first : first + 50_000]
            cache.put(some, rng.normal(size=(len(some), DIM)).astype(np.float32))
        print(f"put {count} texts: {time.perf_counter() - start:.1f} s")
        asked = [texts[i] for i in rng.permutation(count)]
        before = peak_megabytes()
        start = time.perf_counter()
        fresh = EmbeddingCache(folder, "benchmark", DIM)
        opened = time.perf_counter() - start
        start = time.perf_counter()
        missing = fresh.missing(asked)
        checked = time.perf_counter() - start
        start = time.perf_counter()
        vectors = fresh.get(asked)
        got = time.perf_counter() - start
        above = peak_megabytes() - before - vectors.nbytes / 2**20
        print(f"open {opened:.2f} s, missing {checked:.2f} s ({len(missing)}), get {got:.2f} s, {above:.0f} MB above")


if __name__ == "__main__":
    main()
