"""How long `recommend` takes for 100,000 users and 20,000 items: from landed tables to published lists and files.

Run: python -m tests.benchmarks.bench_recommend [USERS ITEMS N RECOMMENDER]
"""

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from schemas.tables import EVENTS
from tests.helpers.landed_tables import written
from tests.helpers.lists import AS_OF, NAME, checked, live_segments, recommend_day

SEGMENTS, BUCKETS, EVENTS_PER_USER = 20, 8, 30


def events(rng: np.random.Generator, users: int, items: int) -> pl.DataFrame:
    """Choices of items that few are popular of, each segment with its own."""
    n = users * EVENTS_PER_USER
    user = np.repeat(np.arange(users), EVENTS_PER_USER)
    item = (items * rng.random(n) ** 3).astype(int)
    own = rng.random(n) < 0.5
    item[own] = (item[own] * SEGMENTS + user[own] % SEGMENTS) % items
    newest = int(AS_OF.timestamp() * 1e6)
    when = pl.Series(newest - rng.integers(0, 90 * 86_400 * 10**6, n)).cast(pl.Datetime("us", "UTC"))
    ids = (pl.Series(column).cast(pl.String).str.zfill(7) for column in (user, item))
    columns = dict(zip(("user_id", "item_id"), ids, strict=True))
    columns |= {"event": pl.repeat("buy", n, eager=True), "timestamp": when, "value": pl.repeat(1.0, n, eager=True)}
    return pl.DataFrame({**columns, "sequence": np.arange(n)}).cast(pl.Schema(EVENTS.polars_schema()))


def main(users: int = 100_000, items: int = 20_000, n: int = 20, recommender: str = "segment_popularity") -> None:
    """Prints seconds of each step."""
    whole = events(np.random.default_rng(0), users, items)
    ids = whole["user_id"].unique().sort()
    parts = [{"events": whole.filter(pl.col("user_id").hash() % BUCKETS == part)} for part in range(BUCKETS)]
    with TemporaryDirectory() as place:
        home = Path(place) / "home"
        live_segments(home, dict(zip(ids, (f"s{i % SEGMENTS + 1:03d}" for i in range(users)), strict=True)))
        tables = written(Path(place) / "tables", parts)
        settings = {"n": n, "per_user": True, "recommender": {"kind": recommender}}
        started = time.perf_counter()
        told = recommend_day(home, tables, lambda step, at=[started]: _step(step, at), recommend=settings)
        seconds, started = time.perf_counter() - started, time.perf_counter()
        rows = pl.scan_parquet(home / "segmentations" / NAME / "tables" / "user_recommendations" / "*.parquet")
        assert told.users == users
        print(f"{rows.select(pl.len()).collect().item():,} rows of {users:,} users in {seconds:.1f} s, {recommender}")
        assert checked(home, tables, recommend=settings).passed
        print(f"lists again and their validation, Great Expectations' import included: "
              f"{time.perf_counter() - started:.1f} s")  # fmt: skip
        for path in map(Path, told.files):
            print(f"  {path.name.partition('-')[2]}: {path.stat().st_size / 1e6:.1f} MB")
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")


def _step(name: str, at: list[float]) -> None:
    now = time.perf_counter()
    print(f"{name:<12} {now - at[0]:.1f} s")
    at[0] = now


if __name__ == "__main__":
    first, last = [int(word) for word in sys.argv[1:4]], sys.argv[4:5]
    main(*first, *last)
