"""How fast users are assigned: from vectors, from raw events by all families of a real model, and over HTTP.

Run: python -m tests.benchmarks.bench_assign
The last two need a MovieLens model: the one that is live under FENQUN_HOME, or one that is trained first (minutes).
"""

import os
import time
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from schemas.config import CalibrationConfig, IngestConfig
from schemas.execution import ExecutionConfig
from tasks.ingestion.land import land
from tasks.models.catalogue import known_first
from tasks.models.keep import BUNDLE
from tasks.models.scored import assign_all
from tasks.plugins.find import plugin
from tasks.segments import bundle as bundles
from tasks.segments import calibration
from tasks.segments import reasons as reasoning
from tasks.segments.segmenter import Segmenter
from tasks.serving import online
from tasks.stores import pointer
from tasks.stores.buckets import read_bucket
from tasks.vectors.encoder import lazy_lookup
from tests.helpers import landed_tables
from tests.helpers.requests import raw_users
from tests.helpers.segmenters import AS_OF, Identity, frame_block
from tests.helpers.servers import served

K, D, REPEATS, REQUESTS = 20, 32, 5, 500
NAME = "movielens"
ROOT = Path(__file__).parents[2]


def clock(what, call, users):
    seconds = []
    for repeat in range(REPEATS):
        start = time.perf_counter()
        call(repeat)
        seconds.append(time.perf_counter() - start)
    middle = np.median(seconds)
    print(f"{what}: median {middle:.3f} s (slowest {max(seconds):.3f}) of {REPEATS}, {users / middle:,.0f} users/s")


def from_vectors(n=100_000, space="euclidean"):
    """100,000 vectors of 32 dimensions against 20 segments; the table of assignments included."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, D)).astype(np.float32)
    kmeans = plugin("clusterers", "kmeans")
    config = kmeans.Config(k=K, space=space)
    fitted = kmeans.fit(X[:5_000], config, rng)
    found = fitted.assign(X[:5_000])
    settings = CalibrationConfig()
    marks = calibration.fit(X[:5_000], found, k=K, space=space, config=settings)
    reasons = reasoning.fit([(X[:5_000], found.labels)], [f"plain.x{i}" for i in range(D)], K)
    ours = Segmenter(
        tuple(f"s{i:03d}" for i in range(K)), ("",) * K, D, (frame_block("plain", [f"x{i}" for i in range(D)]),),
        Identity(), fitted, marks, settings, reasons,
    )  # fmt: skip
    users = [f"u{i}" for i in range(n)]

    def whole(_):
        decision = ours.assign_vectors(X)
        ours.frame(users, decision, [[]] * n, AS_OF, "1")

    clock(f"{n:,} users from vectors ({space}), as the published table", whole, n)
    everyone = ours.assign_vectors(X)._replace(why={})
    clock(f"{n:,} users, reasons alone", lambda _: ours.tell({"plain": X}, everyone), n)


def state(home: Path) -> pointer.Live:
    """The live MovieLens model of a state folder; trained where there is none."""
    live = pointer.read(str(home), NAME).live
    if live is None:
        os.environ["FENQUN_HOME"] = str(home)
        from flows.__main__ import main

        assert main(["retrain", "--config", str(ROOT / "deployments/configs/movielens.yaml")]) == 0
        live = pointer.read(str(home), NAME).live
    return live


def movielens() -> list[dict[str, pl.DataFrame]]:
    """The input tables of MovieLens-100K as ingest lands them, in four buckets."""
    source = plugin("sources", "movielens_100k")
    with TemporaryDirectory() as place:
        run = landed_tables.a_run(Path(place))
        tables = land(source.Config(), IngestConfig(buckets=4), None, run, ExecutionConfig()).tables
        return [read_bucket(tables, number) for number in range(4)]


def times(parts, n: int) -> list[dict[str, pl.DataFrame]]:
    """Every user n times under another id."""

    def again(frame, i):
        return frame.with_columns(pl.col("user_id") + f"-{i}") if "user_id" in frame.columns else frame

    return [{name: pl.concat([again(f, i) for i in range(n)]) if "user_id" in f.columns else f for name, f in
             part.items()} for part in parts]  # fmt: skip


def from_events(home: Path, live: pointer.Live, copies=11):
    """10,373 users with a million events through all families and texts of the real model, on two threads."""
    model, bundle = online.load(home / live.bundle, live.sha256, "1"), bundles.load(home / live.bundle / BUNDLE)
    lookup = known_first(model.catalogue.known, lazy_lookup(bundle.manifest.encoder))
    parts = times(movielens(), copies)
    users, events = (sum(len(part[name]) for part in parts) for name in ("users", "events"))
    with TemporaryDirectory() as place:
        tables = landed_tables.written(Path(place) / "tables", parts)

        def whole(repeat):
            run = landed_tables.a_run(Path(place) / f"home-{repeat}", as_of=live.as_of)
            found = assign_all(bundle, live.sha256, "1", tables, run, ExecutionConfig(), lookup)
            assert found.rows == users

        clock(f"{users:,} users from {events:,} raw events, all families and texts, to Parquet", whole, users)


def over_http(home: Path, live: pointer.Live):
    """One user a request to a real `mlflow models serve` that follows the pointer; no text that it has not read."""
    model = next((home / "mlflow" / "artifacts").glob(f"*/{live.run_id}/artifacts/model"))
    users = sorted((user for part in movielens() for user in raw_users(part)), key=itemgetter("user_id"))
    kinds = {
        "known users, whole history": users,
        "new users, 20 events each": [
            {**user, "user_id": f"new-{i}", "events": user["events"][:20]} for i, user in enumerate(users)
        ],
        "new users, attributes only": [
            {"user_id": f"new-{i}", "attributes": user["attributes"]} for i, user in enumerate(users)
        ],
    }
    log = Path(os.environ.get("TMPDIR", "/tmp")) / f"bench-assign-{os.getpid()}.log"
    with served(model, home, log, FENQUN_FOLLOW="live") as client:
        client.rows(users[:5], live.as_of.isoformat())
        for kind, asked in kinds.items():
            milliseconds = list(_asked(client, asked[:REQUESTS], live.as_of.isoformat()))
            p50, p99, worst = np.percentile(milliseconds, [50, 99, 100])
            events = np.mean([len(user.get("events", ())) for user in asked[:REQUESTS]])
            print(f"HTTP, {kind} (mean {events:.0f} events): p50 {p50:.1f} ms, p99 {p99:.1f} ms, slowest {worst:.1f} "
                  f"ms of {REQUESTS}")  # fmt: skip
    log.unlink()


def _asked(client, users, as_of: str) -> Iterator[float]:
    for user in users:
        start = time.perf_counter()
        assert len(client.rows([user], as_of)) == 1
        yield (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    from_vectors()
    from_vectors(space="cosine")
    with TemporaryDirectory() as fresh:
        folder = Path(os.environ.get("FENQUN_HOME", fresh)).resolve()
        trained = state(folder)
        from_events(folder, trained)
        over_http(folder, trained)
