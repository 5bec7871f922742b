"""embed: what a user wrote and consumed, as one vector; each distinct text is encoded once, ever."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ExecutionConfig, Section, TextsConfig
from schemas.runs import Embedded
from tasks.serving.embedding import embed_users


@task(name="embed", task_run_name="embed {encoder.kind} {high}", cache_policy=NO_CACHE, tags=["gpu"])
def embed(
    tables: Mapping[str, ArtifactRef],
    texts: TextsConfig,
    encoder: Section,
    run: RunContext,
    high: float,
    execution: ExecutionConfig,
) -> Embedded:
    """Encodes what is not in the cache yet and averages every user's texts."""
    return embed_users(tables, texts, encoder, run, high, execution)
