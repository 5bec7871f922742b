"""The behaviour family on 10M events of 500k users, beside one DuckDB query and one lazy Polars query; other families.

Run: `python -m tests.benchmarks.bench_features [--events 10000000] [--repeats 3]`. Every measurement is a process of
its own (so that peak memory is its own), the sides take turns, and medians are printed. Not timed: making the buckets,
imports. Timed on all sides: reading the Parquet buckets, fitted statistics, features of all users in memory.
"""

import argparse
import importlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path

import numpy as np
import polars as pl

from schemas.artifacts import State
from tasks.cleaning.shuffle import partition
from tasks.features import behaviour, collaborative, interest
from tasks.numerics.history import microseconds
from tests.benchmarks._feature_rivals import lazy, sql

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
THREADS = 2
FAMILIES = {"behaviour": behaviour, "interest": interest, "collaborative": collaborative}
ALONE = ("interest", "collaborative")  # families that no rival computes here


def make(folder: Path, events: int, buckets: int) -> None:
    """Buckets as ingest leaves them: 20 events a user in the mean, 50,000 items by Zipf's law, a year, four events."""
    rng = np.random.default_rng(1)
    users, items = events // 20, 50_000
    popularity = 1.0 / np.arange(1, items + 1) ** 0.9
    popularity /= popularity.sum()
    for k in range(buckets):
        ids = np.arange(k, users, buckets)
        count = rng.negative_binomial(1.2, 1.2 / 20.2, len(ids)) + 1
        count = np.maximum(1, np.rint(count * (events / buckets) / count.sum()).astype(int))
        n = int(count.sum())
        start = rng.integers(0, 365 * 86_400, len(ids)).repeat(count)
        seconds = start + (rng.random(n) * (365 * 86_400 - start)).astype(np.int64)
        kind = rng.choice(4, n, p=[0.6, 0.15, 0.1, 0.15])
        value = np.where(kind == 3, rng.integers(1, 6, n), np.round(rng.gamma(2, 15, n), 2))
        stamp = microseconds(AS_OF) - 1_000_000 * (365 * 86_400 - seconds)
        pl.DataFrame({
            "user_id": pl.Series(ids.repeat(count)).cast(pl.String).str.zfill(9),
            "item_id": "item" + pl.Series(rng.choice(items, n, p=popularity)).cast(pl.String),
            "event": pl.Series(np.array(["view", "cart", "buy", "rating"])[kind]),
            "timestamp": pl.Series(stamp).cast(pl.Datetime("us", "UTC")),
            "value": pl.select(pl.when(pl.Series(kind >= 2)).then(pl.Series(value))).to_series(),
            "sequence": np.arange(n),
        }).sort("user_id", "timestamp", "sequence").write_parquet(folder / f"{k:04d}.parquet")  # fmt: skip
    tags = np.array([f"genre {k}" for k in range(200)])
    listed = [list(tags[np.unique((rng.random(3) ** 2 * 200).astype(int))]) for _ in range(items)]
    pl.DataFrame({"item_id": [f"item{k}" for k in range(items)], "categories": listed}).write_parquet(folder / "items")


def files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.glob("*.parquet"))


def ours(folder: Path, family: str) -> pl.DataFrame:
    """Fit and transform over the buckets, two at a time, as the Dask threads do."""
    module = FAMILIES[family]
    config = module.Config(**({"rhythm_events": 0} if family == "behaviour" else {}))  # as the rivals' queries have it
    items = pl.read_parquet(folder / "items") if family == "interest" else None

    def bucket(path: str) -> dict[str, pl.DataFrame]:
        return {"events": pl.read_parquet(path)} | ({} if items is None else {"items": items})

    def transform(path: str, state: State) -> pl.DataFrame:
        return module.transform(bucket(path), state, config, AS_OF)

    with ThreadPoolExecutor(THREADS) as pool:
        whole = reduce(module.merge, pool.map(lambda path: module.partial(bucket(path), config, AS_OF), files(folder)))
        state = module.finish(whole, np.random.default_rng(0))
        return pl.concat(pool.map(lambda path: transform(path, state), files(folder)))


def duckdb_query(folder: Path) -> pl.DataFrame:
    import duckdb

    with duckdb.connect(config={"threads": THREADS, "temp_directory": str(folder)}) as connection:
        return pl.DataFrame(connection.sql(sql(f"{folder}/*.parquet", microseconds(AS_OF), 30)).to_arrow_table())


def polars_query(folder: Path, engine: str) -> pl.DataFrame:
    return lazy(files(folder), microseconds(AS_OF), 30).collect(engine=engine)


def shuffle(folder: Path) -> pl.DataFrame:
    """What ingest pays once so that everything after it is a pass over buckets: rows in order of time to buckets."""
    paths = files(folder)
    pieces: list[list[pl.DataFrame]] = [[] for _ in paths]
    for chunk in sorted(folder.glob("raw-*")):
        for place, piece in zip(pieces, partition(pl.read_parquet(chunk), "user_id", len(paths)), strict=True):
            place.append(piece)
    for number, place in enumerate(pieces):
        pl.concat(place).sort("user_id", "timestamp", "sequence").write_parquet(folder / f"shuffled-{number}")
        place.clear()
    return pl.DataFrame()


def unsort(folder: Path) -> None:
    """Writes the events once more as a log has them, in order of time, in files of about a tenth."""
    log = pl.scan_parquet(files(folder)).sort("timestamp").collect()
    for number, chunk in enumerate(log.iter_slices(-(-len(log) // 10))):
        chunk.write_parquet(folder / f"raw-{number}")


SIDES = {
    "ours": lambda folder: ours(folder, "behaviour"),
    "duckdb": duckdb_query,
    "polars": lambda folder: polars_query(folder, "in-memory"),
    "polars-streaming": lambda folder: polars_query(folder, "streaming"),
    "interest": lambda folder: ours(folder, "interest"),
    "collaborative": lambda folder: ours(folder, "collaborative"),
    "shuffle": shuffle,
}


IMPORTS = {"duckdb": "duckdb", "interest": "scipy.sparse", "collaborative": "scipy.sparse.linalg"}
"""What a side would else import while it is timed."""


def one(side: str, folder: Path, out: str) -> None:
    """One measurement, in this process: prints seconds and peak memory as JSON."""
    importlib.import_module(IMPORTS.get(side, "polars"))
    start, busy = time.perf_counter(), time.process_time()
    frame = SIDES[side](folder)
    seconds, cpu = time.perf_counter() - start, time.process_time() - busy
    # The kernel's high-water mark of this program alone; getrusage would tell that of the parent, where it is higher.
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 2**20
    if out and len(frame):
        frame.sort("user_id").write_parquet(out)
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak}))


def measure(side: str, folder: Path, out: str = "") -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_features", "--one", side, str(folder), "--out", out]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def difference(folder: Path, sides: list[str]) -> None:
    """Says how far the sides' features are apart: the rivals must compute the same thing."""
    truth = pl.read_parquet(folder / "ours.out")
    for side in sides:
        other = pl.read_parquet(folder / f"{side}.out")
        worst, where = 0.0, ""
        assert set(truth.columns) == set(other.columns), set(truth.columns) ^ set(other.columns)
        for column in truth.columns[1:]:
            a, b = truth[column].cast(float), other[column].cast(float)
            assert (a.is_null() == b.is_null()).all(), (side, column)
            gap = ((a - b).abs() / (1.0 + b.abs())).max() or 0.0
            worst, where = max((worst, where), (gap, column))
        print(f"largest relative difference ours/{side}: {worst:.1e} ({where}), {len(other)} users")


def compare(events: int, repeats: int, buckets: int, sides: list[str]) -> dict[str, tuple[float, float]]:
    """Prints one table; answers with the median seconds and CPU seconds of each side."""
    folder = Path(tempfile.mkdtemp(prefix="bench-features-"))
    try:
        make(folder, events, buckets)
        if "shuffle" in sides:
            unsort(folder)
        size = sum(Path(path).stat().st_size for path in files(folder)) / 2**20
        print(f"\n{events:,} events, {events // 20:,} users, {buckets} buckets ({size:.0f} MiB), {THREADS} threads")
        runs: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
        for k in range(repeats):
            for side in sides:
                runs[side].append(measure(side, folder, "" if k else str(folder / f"{side}.out")))
        median = {side: statistics.median(run["seconds"] for run in runs[side]) for side in sides}
        cpu = {side: statistics.median(run["cpu"] for run in runs[side]) for side in sides}
        for side in sides:
            times = " ".join(f"{run['seconds']:.2f}" for run in runs[side])
            peak = max(run["peak"] for run in runs[side])
            print(f"{side:18s} median {median[side]:6.2f} s  ({times})  CPU {cpu[side]:6.2f} s  peak {peak:.2f} GiB")
        rivals = [side for side in sides if side not in ("ours", *ALONE, "shuffle")]
        difference(folder, rivals)
        if rivals:
            fastest = min(rivals, key=median.__getitem__)
            ratios = median["ours"] / median[fastest], cpu["ours"] / cpu[fastest]
            print(f"behaviour / fastest rival ({fastest}): {ratios[0]:.2f} of its time, {ratios[1]:.2f} of its CPU")
        return {side: (median[side], cpu[side]) for side in sides}
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--buckets", type=int, default=16)
    parser.add_argument("--alone", action="store_true", help="without the rivals")
    parser.add_argument("--one", nargs=2)
    parser.add_argument("--out", default="")
    asked = parser.parse_args()
    if asked.one:
        one(asked.one[0], Path(asked.one[1]), asked.out)
        return
    grown = ["ours", *ALONE]
    small = compare(asked.events // 10, asked.repeats, asked.buckets, grown)
    large = compare(asked.events, asked.repeats, asked.buckets, grown if asked.alone else list(SIDES))
    for family in grown:
        wall, cpu = (more / less for more, less in zip(large[family], small[family], strict=True))
        print(f"{family}: ten times the events cost {wall:.1f} times the time, {cpu:.1f} times the CPU")


if __name__ == "__main__":
    main()
