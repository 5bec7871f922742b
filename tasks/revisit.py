"""revisit: the champion on today's data, so that numbers from another day are never compared."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ExecutionConfig
from schemas.runs import Standing
from tasks.serving import revisiting


@task(name="revisit", cache_policy=NO_CACHE)
def revisit(
    segmentation: str, tables: Mapping[str, ArtifactRef], run: RunContext, execution: ExecutionConfig
) -> Standing | None:
    """Assigns today's users with the champion; None where there is none yet."""
    return revisiting.revisit(segmentation, tables, run, execution)
