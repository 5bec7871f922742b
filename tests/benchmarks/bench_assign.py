"""How many users are assigned per second: from vectors, and from raw events with the real plugins.

Run: python -m tests.benchmarks.bench_assign
"""

import time
from datetime import timedelta

import numpy as np
import polars as pl

from schemas.config import CalibrationConfig
from tasks.segments import _reasons, calibration
from tasks.segments.segmenter import Segmenter
from tasks.serving import compose
from tasks.serving.plugins import plugin
from tests.segments.fakes import AS_OF, Identity, frame_block
from tests.serving import test_compose as small

K, D, REPEATS = 20, 32, 5


def clock(what, call, users):
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    print(f"{what}: median {np.median(seconds):.3f} s of {REPEATS}, {users / np.median(seconds):,.0f} users/s")


def from_vectors(n=100_000, space="euclidean"):
    """100,000 vectors of 32 dimensions against 20 segments; the table of assignments included."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, D)).astype(np.float32)
    kmeans = plugin("clusterers", "kmeans")
    config = kmeans.Config(k=K, space=space)
    fitted = kmeans.fit(X[:5_000], config, rng)
    found = fitted.assign(X[:5_000])
    settings = CalibrationConfig()
    marks = calibration.fit(X[:5_000], found.labels, found.distance, k=K, space=space, config=settings)
    reasons = _reasons.fit([(X[:5_000], found.labels)], [f"plain.x{i}" for i in range(D)], K)
    ours = Segmenter(
        tuple(f"s{i:03d}" for i in range(K)), ("",) * K, D, (frame_block("plain", [f"x{i}" for i in range(D)]),),
        Identity(), fitted, marks, settings, reasons,
    )  # fmt: skip
    users = [f"u{i}" for i in range(n)]

    def whole():
        decision = ours.assign_vectors(X)
        ours.frame(users, decision, [[] for _ in users], AS_OF, "1")

    clock(f"{n:,} users from vectors ({space}), no reasons", whole, n)
    clock(f"{n:,} users, reasons alone", lambda: ours.tell({"plain": X}, ours.assign_vectors(X[:1])._replace(
        labels=np.zeros(n, int), why={})), n)  # fmt: skip


def from_events(n=10_000):
    """10,000 users with about 9 events each, texts known: behaviour, interest and texts."""
    made, _, _ = small.fitted.__wrapped__() if hasattr(small.fitted, "__wrapped__") else small.fitted()
    bucket = small.raw(n)
    ours = compose.segmenter(made, device="cpu")
    clock(f"{n:,} users from {bucket['events'].height:,} raw events", lambda: ours.assign(bucket, AS_OF, "1"), n)
    one = {name: f if name == "items" else f.filter(pl.col("user_id") == "用户003") for name, f in bucket.items()}
    clock("1 user from raw events", lambda: ours.assign(one, AS_OF + timedelta(days=1), "1"), 1)


if __name__ == "__main__":
    from_vectors()
    from_vectors(space="cosine")
    from_events()
