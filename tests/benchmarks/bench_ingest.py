"""Ingest of synthetic events as Parquet, beside DuckDB doing the same work in the same run.

The same work: distinct, null, range and finiteness checks and a hash-partitioned write; imports are excluded. Ours also
orders each bucket. Each side runs in a process of its own, so that its peak memory is its own.

    python -m tests.benchmarks.bench_ingest [ROWS] [ROUNDS]
"""

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROWS = 10_000_000
USERS = 100_000
ITEMS = 20_000
BUCKETS = 8


def make(path: Path, rows: int) -> None:
    """Events in order of time, as a shop's export has them, in row groups of half a million."""
    import numpy as np
    import polars as pl
    from pyarrow import parquet

    rng = np.random.default_rng(7)
    chunk, writer, second = 500_000, None, 0
    for start in range(0, rows, chunk):
        n = min(chunk, rows - start)
        moments = second + np.cumsum(rng.integers(0, 9, n))
        second = int(moments[-1])
        frame = pl.DataFrame(
            {
                "user_id": (rng.beta(0.6, 2.0, n) * USERS).astype(np.int64),
                "item_id": (rng.beta(0.4, 3.0, n) * ITEMS).astype(np.int64),
                "event": rng.choice(["view", "cart", "buy"], n, p=[0.8, 0.15, 0.05]),
                "timestamp": (moments * 1_000_000 + 1_600_000_000_000_000),
                "value": np.round(rng.gamma(2.0, 15.0, n), 2),
            }
        ).with_columns(
            pl.format("u{}", "user_id").alias("user_id"),
            pl.format("i{}", "item_id").alias("item_id"),
            pl.col("timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        )
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def ours(path: Path, out: Path) -> float:
    from schemas.config import IngestConfig
    from schemas.execution import ExecutionConfig
    from tasks.ingestion.rows import Look, ingest
    from tasks.sources import tables
    from tasks.sources._tables_config import TableConfig
    from tasks.stores.buckets import parallel

    import dask  # noqa: F401  isort: skip
    import polars  # noqa: F401  isort: skip
    import pyarrow.parquet  # noqa: F401  isort: skip

    config = tables.Config(root=str(path.parent), events=TableConfig(path=path.name))
    start = time.perf_counter()
    done = ingest(
        tables.read(config),
        IngestConfig(buckets=BUCKETS),
        out,
        Look("bench", None, datetime.now(UTC)),
        run=lambda function, items: parallel(function, items, ExecutionConfig()),
    )
    assert done.tables["events"].accounting.balanced
    return time.perf_counter() - start


def duck(path: Path, out: Path) -> float:
    import duckdb

    out.mkdir(parents=True)
    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET preserve_insertion_order = false")
    start = time.perf_counter()
    connection.execute(
        f"""SELECT count(*), count(DISTINCT user_id), count(DISTINCT item_id), count(DISTINCT event),
        count(*) FILTER (user_id IS NULL OR user_id = '' OR contains(user_id, chr(0)) OR strlen(user_id) > 1024),
        count(*) FILTER (item_id IS NULL OR item_id = '' OR contains(item_id, chr(0)) OR strlen(item_id) > 1024),
        count(*) FILTER (event IS NULL OR event = ''), min(timestamp), max(timestamp),
        count(*) FILTER (NOT isfinite(value) OR abs(value) > 3.4e38) FROM '{path}'"""
    ).fetchall()
    connection.execute(
        f"""COPY (SELECT *, hash(user_id) % {BUCKETS} AS bucket FROM '{path}'
        WHERE user_id IS NOT NULL AND item_id IS NOT NULL AND isfinite(value) AND timestamp < now())
        TO '{out}/parts' (FORMAT parquet, PARTITION_BY (bucket), COMPRESSION lz4)"""
    )
    return time.perf_counter() - start


def child(side: str, path: str, out: str) -> None:
    seconds = (ours if side == "ours" else duck)(Path(path), Path(out))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "peak_gib": peak}))


def run(side: str, path: Path, folder: Path) -> dict[str, float]:
    out = folder / side
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "tests.benchmarks.bench_ingest", "--child", side, str(path), str(out)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
    shutil.rmtree(out, ignore_errors=True)
    return json.loads(text.splitlines()[-1])


def main(rows: int = ROWS, rounds: int = 3) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "events.parquet"
        make(path, rows)
        found: dict[str, list[dict[str, float]]] = {"ours": [], "duck": []}
        for _ in range(rounds):
            for side, results in found.items():
                results.append(run(side, path, folder))
        for side, results in found.items():
            seconds = statistics.median(r["seconds"] for r in results)
            peak = max(r["peak_gib"] for r in results)
            print(f"{side:5} {rows:,} rows: median {seconds:.2f} s of {rounds}, peak {peak:.2f} GiB")
        ratios = [a["seconds"] / b["seconds"] for a, b in zip(found["ours"], found["duck"], strict=True)]
        print(f"ratio ours / DuckDB: median {statistics.median(ratios):.2f} (target: at most 2)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:5])
    else:
        main(*(int(word) for word in sys.argv[1:3]))
