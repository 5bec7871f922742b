"""record: what a run was made of goes into the ledger: config, data, texts, environment, segments."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import RunContext
from schemas.reports import SegmentProfile
from schemas.runs import Landed, Vectors
from tasks.serving import recording
from tasks.stores.ledger import Ledger


@task(name="record", retries=2, retry_delay_seconds=5, cache_policy=NO_CACHE)
def record(
    config: dict[str, Any],
    landed: Landed,
    vectors: Vectors,
    profiles: tuple[SegmentProfile, ...],
    run: RunContext,
    ledger: Ledger,
) -> None:
    """Logs everything that one needs to read or repeat the run."""
    recording.record(config, landed, vectors, profiles, run, ledger)
