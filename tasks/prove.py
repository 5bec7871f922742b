"""prove: what the chosen segments are worth on the last slice, beside popularity, random segments and 1:1."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import EvaluateConfig
from schemas.runs import Candidate, Proof, Vectors
from tasks.serving import proving


@task(name="prove", cache_policy=NO_CACHE)
def prove(
    candidate: Candidate,
    train: Vectors,
    tables: Mapping[str, ArtifactRef],
    config: EvaluateConfig,
    slices: tuple[str, ...],
    run: RunContext,
) -> Proof:
    """Measures the held-out lift that is reported and gated on."""
    return proving.prove(candidate, train.represented.output, tables, config, slices, run)
