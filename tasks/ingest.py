"""ingest: source rows into contract tables, bucketed by user, every row accounted for."""

from datetime import datetime
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import RunContext
from schemas.config import ExecutionConfig, IngestConfig, Section, ValidateConfig
from schemas.errors import FenqunError
from schemas.runs import Landed
from tasks.serving.landing import land


def passing(task: Any, run: Any, state: Any) -> bool:
    """Whether a failure may be gone at the next try: bad data and configs stay as they are."""
    return not isinstance(state.result(raise_on_failure=False), FenqunError)


@task(name="ingest", retries=2, retry_delay_seconds=5, retry_condition_fn=passing, cache_policy=NO_CACHE)
def ingest(
    source: Section,
    config: IngestConfig,
    as_of: datetime | None,
    run: RunContext,
    execution: ExecutionConfig,
    validation: ValidateConfig | None = None,
    segmentation: str = "",
) -> Landed:
    """Reads what is new in the source, sets bad rows aside and leaves the rest in buckets of users."""
    return land(source, config, as_of, run, execution, validation, segmentation)
