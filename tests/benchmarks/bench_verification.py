"""What it costs to hold files against their sums: python -m tests.benchmarks.bench_verification [users].

A retrain that makes everything, and one that takes everything up again. Aim: at most 5 % of either. The seconds are
those of all threads together, which is more than the run waits for them.
"""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from flows.config import parse
from tests.benchmarks._flows import served

SETTINGS = {
    "segmentation": "bench", "features": [{"kind": "behaviour"}, {"kind": "interest"}],
    "represent": {"dimension": 16}, "ingest": {"buckets": 16}, "calibration": {"folds": 2},
    "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [10]}}]},
    "evaluate": {"refits": 2, "bootstraps": 20, "random_draws": 2},
}  # fmt: skip


class Meter:
    """Seconds spent in functions, each counted where it was first entered."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock, self._inside = threading.Lock(), threading.local()

    def measured(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """The function, measured."""

        def call(*given: Any, **named: Any) -> Any:
            if getattr(self._inside, "yes", False):
                return real(*given, **named)
            self._inside.yes, start = True, time.perf_counter()
            try:
                return real(*given, **named)
            finally:
                self._inside.yes = False
                with self._lock:
                    self.seconds += time.perf_counter() - start

        return call


def watched() -> Meter:
    """Measures every sum of a file, and every look whether an artifact is whole."""
    import hashlib

    from tasks.disk import artifacts, files

    meter = Meter()
    hashlib.file_digest = meter.measured(hashlib.file_digest)  # whoever sums a file: artifacts, bundles, tables
    artifacts._checked = meter.measured(artifacts._checked)
    files._sum = meter.measured(files._sum)
    return meter


def main() -> None:
    users = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with served():
        from flows.retrain import retrain
        from tasks.sources import synthetic

        config = parse({**SETTINGS, "source": {"kind": "synthetic", "users": users, "segments": 8, "seed": 1}}, "bench")
        events = sum(len(batch) for batch in synthetic.read(config.source)["events"])
        meter = watched()
        for what in ("everything is made", "everything is taken up again"):
            meter.seconds, start = 0.0, time.perf_counter()
            retrain(config)
            whole = time.perf_counter() - start
            told = f"{meter.seconds:.2f} s of {whole:.1f} s, {meter.seconds / whole:.1%}"
            print(f"{events:,} events, {what}: {told} in checks", flush=True)


if __name__ == "__main__":
    main()
