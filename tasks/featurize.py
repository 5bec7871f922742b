"""featurize: one feature family, fitted over all users and applied to every bucket."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, Fitted, RunContext
from schemas.config import ExecutionConfig, Section, kind_of
from tasks._progress import metered
from tasks.serving.fitting import fit_family


@task(name="featurize", task_run_name="featurize {config.kind} {high}", cache_policy=NO_CACHE)
def featurize(
    tables: Mapping[str, ArtifactRef], config: Section, run: RunContext, high: float, execution: ExecutionConfig
) -> Fitted:
    """Fits one family on the first `high` share of everyone's history."""
    key = f"featurize-{kind_of(config)}".replace("_", "-")
    with metered(key, f"featurize {kind_of(config)} of the first {high:.0%} of everyone's history") as meter:
        return fit_family(tables, config, run, high, execution, meter)
