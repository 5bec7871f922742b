"""What benchmarks that run flows share: a Prefect server of their own, and quiet logs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory


@contextmanager
def served() -> Iterator[str]:
    """A state folder while the block runs, and a Prefect server that leaves nothing behind."""
    os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
    from flows.__main__ import environment

    environment()
    from prefect.testing.utilities import prefect_test_harness

    with TemporaryDirectory() as home, prefect_test_harness(server_startup_timeout=180):
        os.environ["FENQUN_HOME"] = home
        yield home
