"""assign: today's users through the champion, published in one step."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ExecutionConfig
from schemas.runs import Scored, Served
from tasks.serving import assigning, promoting
from tasks.stores.ledger import Ledger


@task(name="assign", cache_policy=NO_CACHE)
def assign(
    segmentation: str,
    tables: Mapping[str, ArtifactRef],
    only_touched: bool,
    run: RunContext,
    execution: ExecutionConfig,
) -> Scored:
    """Scores all users, or only those who did something since the last time, on Dask."""
    return assigning.score(segmentation, tables, only_touched, run, execution)


@task(name="publish", cache_policy=NO_CACHE)
def publish(scored: Scored, quarantine: ArtifactRef, revision: int, run: RunContext, ledger: Ledger) -> Served:
    """Publishes assignments and transitions; readers see all of it or nothing."""
    moved, changed = promoting.refresh(scored, quarantine, revision, run, ledger)
    ledger.metrics(run.run_id, {"users": scored.assignments.rows, "moved": changed})
    return Served(
        segmentation=ledger.segmentation, run_id=run.run_id, model_version=scored.model_version,
        users=scored.assignments.rows, moved=changed, revision=moved.revision,
    )  # fmt: skip
