"""cluster: one candidate, fitted on all data and on the train slice."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.runs import Candidate, Vectors
from tasks.serving.candidates import fit_candidate


@task(name="cluster", task_run_name="cluster {candidate.name}", cache_policy=NO_CACHE, tags=["cpu"])
def cluster(candidate: Candidate, full: Vectors, train: Vectors, run: RunContext) -> ArtifactRef:
    """Fits one candidate."""
    return fit_candidate(candidate, full.represented.output, train.represented.output, run)
