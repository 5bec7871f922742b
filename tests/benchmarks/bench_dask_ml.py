"""K-Means over Dask blocks, ours beside dask-ml's, on 3 GiB that two small workers read from disk again and again.

Run: python -m tests.benchmarks.bench_dask_ml [--small] [--rounds N] [--limit MIB] [--patience SECONDS]
A worker may hold 640 MiB. At 400, dask-ml's pause for good: importing it takes 290 MiB, and a worker stops at 80 %.
Each fit has a process and workers of its own, and rounds of the rivals alternate, so that a busy neighbour slows all
alike. Inertia is that of the labels that assignment gives, by float64 differences, for all; peaks are the workers' own
high-water marks of resident memory.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from tests.benchmarks._machine import processor

BLOCK = 8192  # rows
SIZES = {"big": (256, 384), "small": (16, 64)}  # blocks, columns
K, CENTRES, SPREAD = 20, 40, 0.15
ITERATIONS = 20
RIVALS = {
    "ours": {},
    "dask-ml, k-means||": {"implementation": "dask_ml"},
    "dask-ml, random": {"implementation": "dask_ml", "seeding": "random"},
}


def write(path, blocks, d):
    """Uneven overlapping blobs of unit variance, more than there are segments."""
    import numpy as np

    rng = np.random.default_rng(0)
    centres = (SPREAD * rng.standard_normal((CENTRES, d))).astype(np.float32)
    shares = rng.dirichlet(np.ones(CENTRES))
    with path.open("wb") as file:
        for _ in range(blocks):
            noise = rng.standard_normal((BLOCK, d), dtype=np.float32)
            file.write((noise + centres[rng.choice(CENTRES, BLOCK, p=shares)]).tobytes())


def read(path, d, block_info=None):
    """One block of rows."""
    import numpy as np

    first, after = block_info[None]["array-location"][0]
    flat = np.fromfile(path, np.float32, (after - first) * d, offset=4 * first * d)
    return flat.reshape(-1, d)


def peak():
    """High-water mark of this process's resident memory, MiB; `ru_maxrss` would have its parent's in it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**10


def one(path, d, rival, seed, limit):
    """A fit on its own: seconds, inertia, iterations, and what the workers held before and at most."""
    import time

    import dask.array as da
    import numpy as np
    from dask.distributed import Client, LocalCluster

    from tasks.clusterers import kmeans

    blocks = Path(path).stat().st_size // (4 * BLOCK * d)
    X = da.map_blocks(
        read, path, d, chunks=((BLOCK,) * blocks, (d,)), dtype=np.float32, meta=np.empty((0, 0), np.float32)
    )
    config = kmeans.Config(k=K, max_iter=ITERATIONS, **RIVALS[rival])
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": f"{limit}MiB", "host": "127.0.0.1"}
    with LocalCluster(dashboard_address=None, **options) as cluster, Client(cluster) as client:
        before, spent = max(client.run(peak).values()), -processing(client)
        begin = time.perf_counter()
        fitted = kmeans.fit(X, config, np.random.default_rng(seed))
        seconds, spent = time.perf_counter() - begin, spent + processing(client)
        peaks = client.run(peak).values()
    found = {name: fitted.extras[name] for name in ("inertia", "iterations")}
    found |= {"seconds": seconds, "cpu": spent, "before": before, "peak": max(peaks), "segments": len(fitted.centroids)}
    print(json.dumps(found))


def processing(client):
    """CPU seconds so far of this process and the workers; a busy neighbour changes them less than the clock."""
    import time

    return time.process_time() + sum(client.run(time.process_time).values())


def race(path, d, options):
    """Every rival's results, round by round; a rival that fails or takes too long says so and has none."""
    found = {rival: [] for rival in RIVALS}
    for seed in range(options.rounds):
        for rival in RIVALS:
            words = ["--one", str(path), str(d), rival, str(seed), str(options.limit)]
            command = [sys.executable, "-m", "tests.benchmarks.bench_dask_ml", *words]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=options.patience, check=True)
                found[rival].append(json.loads(done.stdout.splitlines()[-1]))
                print(f"  {rival}, seed {seed}: {found[rival][-1]}", flush=True)
            except subprocess.TimeoutExpired:
                print(f"  {rival}, seed {seed}: not done after {options.patience} s", flush=True)
            except subprocess.CalledProcessError as error:
                print(f"  {rival}, seed {seed}: failed: {error.stderr.strip().splitlines()[-1:]}", flush=True)
    return found


def tell(found):
    """Medians, and what they are of ours."""
    names = ("seconds", "cpu", "inertia", "iterations", "peak", "before", "segments")
    medians = {
        rival: {name: statistics.median(run[name] for run in runs) for name in names}
        for rival, runs in found.items()
        if runs
    }
    for rival, run in medians.items():
        ours = medians.get("ours", run)
        print(
            f"{rival}: {run['seconds']:.1f} s ({run['seconds'] / ours['seconds']:.2f} of ours), "
            f"CPU {run['cpu']:.1f} s ({run['cpu'] / ours['cpu']:.2f} of ours), "
            f"inertia {run['inertia']:.6g} ({run['inertia'] / ours['inertia']:.5f} of ours), "
            f"{run['iterations']:.0f} iterations, {run['segments']:.0f} segments, "
            f"peak of a worker {run['peak']:.0f} MiB ({run['before']:.0f} before the fit)"
        )


def main(words):
    if words[:1] == ["--one"]:
        path, d, rival, seed, limit = words[1:]
        one(path, int(d), rival, int(seed), int(limit))
        return
    parser = ArgumentParser(prog="bench_dask_ml")
    parser.add_argument("--small", action="store_true", help="a minute instead of many")
    parser.add_argument("--rounds", type=int, default=3, help="fits of each rival, under other seeds")
    parser.add_argument("--limit", type=int, default=640, help="MiB that a worker may hold")
    parser.add_argument("--patience", type=int, default=900, help="seconds that a fit may take")
    options = parser.parse_args(words)
    blocks, d = SIZES["small" if options.small else "big"]
    print(processor())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.f32"
        write(path, blocks, d)
        size = path.stat().st_size / 2**30
        print(
            f"{blocks * BLOCK:,} x {d} ({size:.2f} GiB), k={K}, {ITERATIONS} iterations at most, "
            f"2 workers of {options.limit} MiB, medians of {options.rounds}",
            flush=True,
        )
        tell(race(path, d, options))


if __name__ == "__main__":
    main(sys.argv[1:])
