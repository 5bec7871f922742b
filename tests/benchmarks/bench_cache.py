"""Looking up a million cached texts: python -m tests.benchmarks.bench_cache [texts]. Aim: < 10 s, < 500 MB on top."""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tasks.disk.embeddings import EmbeddingCache

DIM = 384


def megabytes(what: str) -> float:
    """VmRSS, what this process holds now, or VmHWM, the most that it held since the mark was last reset."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(what)).split()[1]) / 1024


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
        Path("/proc/self/clear_refs").write_text("5")  # resets the mark that making the cache left behind
        before = megabytes("VmRSS")
        start = time.perf_counter()
        fresh = EmbeddingCache(folder, "benchmark", DIM)
        opened = time.perf_counter() - start
        start = time.perf_counter()
        missing = fresh.missing(asked)
        checked = time.perf_counter() - start
        start = time.perf_counter()
        vectors = fresh.get(asked)
        got = time.perf_counter() - start
        above = megabytes("VmHWM") - before - vectors.nbytes / 2**20
        print(f"open {opened:.2f} s, missing {checked:.2f} s ({len(missing)}), get {got:.2f} s, {above:.0f} MB above")


if __name__ == "__main__":
    main()
