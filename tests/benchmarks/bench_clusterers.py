"""K-Means and DBSCAN beside scikit-learn and scikit-learn-intelex (where it is installed), and on a GPU where one is.

Run: python -m tests.benchmarks.bench_clusterers [kmeans] [dbscan] [assign] [dask] [gpu]; no word: all but gpu.
Rounds of the rivals alternate, so that a busy neighbour slows all alike; medians and ratios are printed.
"""

import resource
import statistics
import sys
import time

import numpy as np

from tasks.clusterers import dbscan, kmeans
from tasks.numerics.groups import canonical

PEAK_FLOPS = {"H100": 67e12, "H200": 67e12}  # float32 outside the tensor cores, as NVIDIA states for SXM
ROUNDS = 5


def blobs(n, d, k, spread, noise=0.0):
    """k blobs of unit variance whose centres vary by `spread` in each column; a share of uniform noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    X += (spread * rng.standard_normal((k, d))).astype(np.float32)[rng.integers(k, size=n)]
    far = rng.choice(n, int(noise * n), replace=False)
    X[far] = rng.uniform(-3 * spread, 3 * spread, size=(len(far), d))
    return X


def intelex():
    try:
        from sklearnex import cluster
    except ImportError:
        print("scikit-learn-intelex is not installed: scikit-learn alone is the rival")
        return None
    return cluster


def race(rivals, rounds=ROUNDS):
    """Median wall seconds and CPU seconds of each call, and its last result."""
    spent = {name: [] for name in rivals}
    results = {}
    for _ in range(rounds):
        for name, call in rivals.items():
            wall, cpu = time.perf_counter(), time.process_time()
            results[name] = call()
            spent[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    medians = {name: tuple(map(statistics.median, zip(*times, strict=True))) for name, times in spent.items()}
    return medians, results


def tell(what, medians, more=""):
    best = min(medians[name][0] for name in medians if name != "ours")
    times = ", ".join(f"{name} {wall:.2f} s (CPU {cpu:.2f})" for name, (wall, cpu) in medians.items())
    print(f"{what}: {times}; ours / fastest rival {medians['ours'][0] / best:.2f}{more}", flush=True)


def bench_kmeans():
    from sklearn.cluster import KMeans

    rival = intelex()
    for n, d in ((200_000, 64), (100_000, 384)):
        for kind, centres, spread in (("no structure", 1, 0.0), ("20 overlapping blobs", 20, 0.5), ("50", 50, 1.0)):
            X = blobs(n, d, centres, spread)
            start = X[:20].copy()
            same = {"init": start, "n_init": 1, "max_iter": 50, "tol": 0}
            config = kmeans.Config(k=20, max_iter=50, tol=0)
            rivals = {
                "scikit-learn": lambda X=X, same=same: KMeans(20, **same).fit(X).inertia_,
                "ours": lambda X=X, start=start, config=config: kmeans.fit(
                    X, config, np.random.default_rng(0), init=start
                ).extras["inertia"],
            }
            if rival:
                rivals["intelex"] = lambda X=X, same=same: rival.KMeans(20, **same).fit(X).inertia_
            medians, inertia = race(rivals)
            off = max(abs(inertia["ours"] / value - 1) for value in inertia.values())
            tell(f"K-Means {n:,} x {d}, k=20, {kind}", medians, f"; inertia within {off:.1e}")


def bench_dbscan():
    from sklearn.cluster import DBSCAN

    X, rival = blobs(100_000, 64, 20, 4.0, noise=0.02), intelex()
    eps = 10.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = lambda: dbscan.fit(X, dbscan.Config(eps=eps), np.random.default_rng(0))  # noqa: E731
    ours()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    rivals = {"ours": lambda: ours().labels}
    if rival:
        rivals["intelex"] = lambda: rival.DBSCAN(eps=eps, min_samples=10).fit(X).labels_
    else:  # its neighbour lists take gigabytes
        rivals["scikit-learn"] = lambda: DBSCAN(eps=eps, min_samples=10).fit(X).labels_
    medians, labels = race(rivals, 3)
    same = all(np.array_equal(canonical(value)[0], labels["ours"]) for value in labels.values())
    found, noise = labels["ours"].max() + 1, (labels["ours"] < 0).mean()
    tell(
        f"DBSCAN 100,000 x 64, eps {eps}: {found} segments, {noise:.1%} noise",
        medians,
        f"; equal labels: {same}; {grown:.0f} MiB above the data",
    )


def bench_assign():
    X = blobs(100_000, 64, 20, 0.5)
    fitted = kmeans.fit(X, kmeans.Config(k=20, n_init=1), np.random.default_rng(0))
    medians, _ = race({"ours": lambda: fitted.assign(X)})
    print(f"assign 100,000 x 64 to 20 centroids: {medians['ours'][0]:.2f} s (CPU {medians['ours'][1]:.2f})")
    dense = blobs(100_000, 64, 20, 4.0, noise=0.02)
    fitted = dbscan.fit(dense, dbscan.Config(eps=10.0), np.random.default_rng(0))
    medians, _ = race({"ours": lambda: fitted.assign(dense[:10_000])}, 1)
    print(f"assign 10,000 x 64 to {len(fitted.rows):,} core users: {medians['ours'][0]:.2f} s")


def bench_dask():
    """K-Means on an array four times larger than the memory of the workers."""
    import dask.array as da
    from dask.distributed import Client, LocalCluster

    limit, d, rows = 400 * 2**20, 64, 50_000
    n = 4 * 2 * limit // (4 * d) // rows * rows
    noise = da.random.default_rng(0).standard_normal((n, d), dtype=np.float32, chunks=(rows, d))
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": limit, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        begin = time.perf_counter()
        fitted = kmeans.fit(noise, kmeans.Config(k=20, n_init=1, max_iter=5, sample=20_000), np.random.default_rng(0))
        peaks = client.run(lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
        print(f"K-Means over Dask {n:,} x {d} ({n * d * 4 / 2**30:.1f} GiB, workers of 2 x 400 MiB), 5 iterations: "
              f"{time.perf_counter() - begin:.0f} s, inertia {fitted.extras['inertia']:.4g}, "
              f"peak of workers {', '.join(f'{peak:.0f}' for peak in peaks.values())} MiB")  # fmt: skip


def bench_gpu():
    import torch

    from tasks.clusterers._lloyd import lloyd, sweeper
    from tasks.clusterers._neighbours import CELL, Cells

    card = torch.cuda.get_device_name()
    peak = next((flops for name, flops in PEAK_FLOPS.items() if name in card), None)
    n, d, k = 1_000_000, 384, 20
    X = blobs(n, d, k, 1.0)
    sweep, start = sweeper(X, "euclidean", "cuda"), X[:k].copy()
    lloyd(sweep, start, "euclidean", 2, 0.0)
    begin = time.perf_counter()
    lloyd(sweep, start, "euclidean", 20, 0.0)
    spent = (time.perf_counter() - begin) / 20
    share = f", {2 * n * d * k / spent / peak:.1%} of the peak" if peak else ""
    print(f"{card}: K-Means {n:,} x {d}, k={k}: {spent * 1e3:.1f} ms an iteration{share}")
    cells = Cells(X, "euclidean", device="cuda")
    queries = cells.roughly(X[:CELL])
    begin, products = time.perf_counter(), 0
    for cell in range(0, len(cells.radii), 20):
        cells.close(X[:CELL], queries, cell, 25.0**2)
        products += CELL * len(cells.members(cell))
    spent = time.perf_counter() - begin
    share = f", {2 * products * d / spent / peak:.1%} of the peak" if peak else ""
    print(f"{card}: neighbours within a radius, {products:,} pairs: {products / spent:.3g} pairs a second{share}")
    begin = time.perf_counter()
    fitted = dbscan.fit(X, dbscan.Config(eps=27.0, device="cuda"), np.random.default_rng(0))
    print(f"{card}: DBSCAN {n:,} x {d}: {time.perf_counter() - begin:.0f} s, {fitted.labels.max() + 1} segments, "
          f"{fitted.extras['noise_share']:.1%} noise")  # fmt: skip


def main(words):
    chosen = words or ["kmeans", "dbscan", "assign", "dask"]
    for word in chosen:
        globals()[f"bench_{word}"]()


if __name__ == "__main__":
    main(sys.argv[1:])
