"""ingest: source rows into contract tables, bucketed by user, every row accounted for."""

from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import RunContext
from schemas.config import ExecutionConfig, IngestConfig, Section
from schemas.runs import Landed
from tasks.serving.landing import land


@task(name="ingest", retries=2, retry_delay_seconds=5, cache_policy=NO_CACHE, tags=["io"])
def ingest(
    source: Section, config: IngestConfig, as_of: datetime | None, run: RunContext, execution: ExecutionConfig
) -> Landed:
    """Reads the source, sets bad rows aside and leaves the rest in buckets of users."""
    return land(source, config, as_of, run, execution)
