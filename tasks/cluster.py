"""cluster: one candidate, fitted on all data and on the train slice."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import IdentityConfig
from schemas.runs import Attempt, Candidate, Standing, Unfit, Vectors
from tasks.serving.attempting import attempt


@task(name="cluster", task_run_name="cluster {candidate.name}", cache_policy=NO_CACHE)
def cluster(
    candidate: Candidate,
    full: Vectors,
    train: Vectors,
    standing: Standing | None,
    tables: Mapping[str, ArtifactRef],
    config: IdentityConfig,
    run: RunContext,
) -> Attempt | Unfit:
    """Fits one candidate, fresh or from the champion's centroids in the champion's space."""
    return attempt(candidate, full, train, standing, tables, config, run)
