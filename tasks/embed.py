"""embed: what a user wrote and consumed, as one vector; each distinct text is encoded once, ever."""

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import cast
from uuid import UUID

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ExecutionConfig, Section, TextsConfig
from schemas.runs import Embedded
from tasks.serving.embedding import embed_users
from tasks.serving.progress import Meter


@task(name="embed", task_run_name="embed {encoder.kind} {high}", cache_policy=NO_CACHE)
def embed(
    tables: Mapping[str, ArtifactRef],
    texts: TextsConfig,
    encoder: Section,
    run: RunContext,
    high: float,
    execution: ExecutionConfig,
) -> Embedded:
    """Encodes what is not in the cache yet and averages every user's texts."""
    shown = create_progress_artifact(0.0, "embed", f"texts of the first {high:.0%} of everyone's history")
    with closing(
        Meter(f"embed on {high:.0%} of every history", partial(update_progress_artifact, cast(UUID, shown)))
    ) as meter:
        return embed_users(tables, texts, encoder, run, high, execution, meter)
