"""Silhouette, Euclidean blocks and held-out lift: time, memory above the data, and agreement with scikit-learn.

Run: python -m tests.benchmarks.bench_metrics [small] [large] [euclidean] [lift] [dask] [gpu]; no word: all but gpu.
"""

import statistics
import sys
import time

import numpy as np
import scipy.sparse as sp

from tasks.metrics.calinski_harabasz import calinski_harabasz
from tasks.metrics.davies_bouldin import davies_bouldin
from tasks.metrics.heldout_lift import heldout_lift
from tasks.metrics.silhouette import silhouette, silhouette_sampled
from tasks.metrics.wcss import wcss
from tests.benchmarks._machine import peak_gib

PEAK_FLOPS = {"H100": 67e12, "H200": 67e12}  # float32 outside the tensor cores, as NVIDIA states for SXM


def timed(call, repeats):
    """Median seconds and the last result."""
    spent = []
    for _ in range(repeats):
        begin = time.perf_counter()
        found = call()
        spent.append(time.perf_counter() - begin)
    return statistics.median(spent), found


def planted(n, d, k, dtype):
    """k overlapping blobs, made by chunks, so that the peak of memory is that of the data."""
    rng = np.random.default_rng(0)
    labels, centres = rng.integers(k, size=n), (rng.standard_normal((k, d)) * 0.7).astype(dtype)
    X = np.empty((n, d), dtype)
    for start in range(0, n, 10_000):
        part = X[start : start + 10_000]
        rng.standard_normal(out=part, dtype=dtype)
        part += centres[labels[start : start + 10_000]]
    return X, labels


def small():
    from sklearn.metrics import silhouette_score

    X, labels = planted(20_000, 64, 20, np.float64)
    for metric in ("cosine", "sqeuclidean"):
        ours, value = timed(lambda metric=metric: silhouette(X, labels, metric), 7)
        theirs, expected = timed(lambda metric=metric: silhouette_score(X, labels, metric=metric), 1)
        print(f"silhouette {metric} 20,000 x 64, k=20: {ours:.4f} s, scikit-learn {theirs:.2f} s, "
              f"{theirs / ours:.0f} x, difference {abs(value - expected):.1e}")  # fmt: skip


def large():
    X, labels = planted(1_000_000, 384, 20, np.float32)
    before = peak_gib()
    for name, call in (
        ("silhouette cosine", lambda: silhouette(X, labels, "cosine")),
        ("silhouette sqeuclidean", lambda: silhouette(X, labels, "sqeuclidean")),
        ("wcss", lambda: wcss(X, labels)),
        ("davies_bouldin", lambda: davies_bouldin(X, labels)),
        ("calinski_harabasz", lambda: calinski_harabasz(X, labels)),
    ):
        begin = time.process_time()
        spent, value = timed(call, 3)
        cpu = (time.process_time() - begin) / 3
        print(f"{name} 1,000,000 x 384, k=20: {spent:.2f} s ({cpu:.2f} s of CPU), {value:.6g}, "
              f"peak {peak_gib() - before:.2f} GiB above")  # fmt: skip


def euclidean():
    from sklearn.metrics import silhouette_score

    X, labels = planted(20_000, 64, 20, np.float64)
    ours, value = timed(lambda: silhouette(X, labels, "euclidean"), 3)
    theirs, expected = timed(lambda: silhouette_score(X, labels), 1)
    print(f"silhouette euclidean 20,000 x 64: {ours:.2f} s, scikit-learn {theirs:.2f} s, {theirs / ours:.1f} x, "
          f"difference {abs(value - expected):.1e}")  # fmt: skip
    spent, (mean, error) = timed(lambda: silhouette_sampled(X, labels, 2000, np.random.default_rng(0)), 3)
    print(f"sample of 2,000: {spent:.2f} s, {mean:.5f} +- {error:.5f} against {value:.5f}")


def lift():
    rng = np.random.default_rng(0)
    for users, items, events in ((943, 1682, 100_000), (32_000, 24_000, 800_000)):
        popularity = rng.zipf(1.3, size=events) % items
        cells = sp.csr_matrix((np.ones(events), (rng.integers(users, size=events), popularity)), shape=(users, items))
        test = sp.random(users, items, events / 5 / users / items, "csr", rng=rng)
        labels = rng.integers(20, size=users)
        spent, _ = timed(lambda cells=cells, test=test, labels=labels: heldout_lift(cells, test, labels), 3)
        print(f"held-out lift {users:,} x {items:,}, {events:,} events, 5 draws, 200 bootstraps: {spent:.2f} s")


def dask():
    """An array four times the memory of the only worker; the worker would be killed at 95 % of its limit."""
    import dask.array as da
    from distributed import Client, LocalCluster

    limit, n, d = 640 * 2**20, 1_750_000, 384
    blocks = da.random.default_rng(0).standard_normal((n, d), dtype="float32", chunks=(20_000, d))
    labels = np.random.default_rng(0).integers(20, size=n)
    with (
        LocalCluster(1, threads_per_worker=2, memory_limit=limit, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        spent, value = timed(lambda: silhouette(blocks, labels, "cosine"), 1)
        peaks = client.run(peak_gib).values()
    print(f"silhouette cosine of a Dask array of {blocks.nbytes / 2**30:.2f} GiB, {limit / 2**30:.2f} GiB of worker: "
          f"{spent:.1f} s, {value:.5f}, worker's peak {max(peaks):.2f} GiB")  # fmt: skip


def gpu():
    import torch

    device = torch.cuda.get_device_name()
    X, labels = planted(20_000, 64, 20, np.float32)
    there, here = silhouette(X, labels, "euclidean", "cuda"), silhouette(X, labels, "euclidean")
    print(f"{device}: against the CPU {abs(there - here):.1e}")
    X, labels = planted(1_000_000, 384, 20, np.float32)
    spent, value = timed(lambda: silhouette(X, labels, "euclidean", "cuda"), 1)
    rate = 2.0 * len(X) ** 2 * X.shape[1] / spent
    share = [f"{rate / peak:.0%} of the peak" for name, peak in PEAK_FLOPS.items() if name in device]
    print(f"silhouette euclidean 1,000,000 x 384: {spent:.1f} s, {value:.5f}, {rate / 1e12:.1f} TFLOP/s", *share)


if __name__ == "__main__":
    for part in sys.argv[1:] or ("small", "large", "euclidean", "lift", "dask"):
        {"small": small, "large": large, "euclidean": euclidean, "lift": lift, "dask": dask, "gpu": gpu}[part]()
