"""register: the chosen model as a version in the ledger, with everything that explains it."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import CalibrationConfig, ExecutionConfig
from schemas.reports import Lineage, SegmentProfile
from schemas.runs import Attempt, Registered, Standing, Vectors
from tasks.serving.registering import register_model
from tasks.stores.ledger import Ledger


@task(name="register", retries=2, retry_delay_seconds=5, cache_policy=NO_CACHE)
def register(
    attempt: Attempt,
    vectors: Vectors,
    standing: Standing | None,
    profiles: tuple[SegmentProfile, ...],
    lineage: Lineage,
    tables: Mapping[str, ArtifactRef],
    config: CalibrationConfig,
    run: RunContext,
    execution: ExecutionConfig,
    ledger: Ledger,
) -> Registered:
    """Builds the bundle, assigns everybody with it, and registers it; identical content registers no new version."""
    return register_model(attempt, vectors, standing, profiles, lineage, tables, config, run, execution, ledger)
