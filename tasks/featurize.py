"""featurize: one feature family, fitted over all users and applied to every bucket."""

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import cast
from uuid import UUID

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, Fitted, RunContext
from schemas.config import ExecutionConfig, Section, kind_of
from tasks.serving.fitting import fit_family
from tasks.serving.progress import Meter


@task(name="featurize", task_run_name="featurize {config.kind} {high}", cache_policy=NO_CACHE)
def featurize(
    tables: Mapping[str, ArtifactRef], config: Section, run: RunContext, high: float, execution: ExecutionConfig
) -> Fitted:
    """Fits one family on the first `high` share of everyone's history."""
    key = f"featurize-{kind_of(config)}".replace("_", "-")
    shown = create_progress_artifact(0.0, key, f"the first {high:.0%} of everyone's history")
    with closing(
        Meter(f"{key} on {high:.0%} of every history", partial(update_progress_artifact, cast(UUID, shown)))
    ) as meter:
        return fit_family(tables, config, run, high, execution, meter)
