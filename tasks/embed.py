"""embed: what a user wrote and consumed, as one vector; each distinct text is encoded once, ever."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ExecutionConfig, Section, TextsConfig
from schemas.runs import Embedded
from tasks._progress import metered
from tasks.serving.embedding import embed_users


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
    what = f"texts of the first {high:.0%} of everyone's history"
    with metered("encode", f"encode {what}", "texts") as encoding, metered("pool", f"pool {what}") as pooling:
        return embed_users(tables, texts, encoder, run, high, execution, encoding, pooling)
