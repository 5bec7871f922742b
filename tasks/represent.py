"""represent: feature blocks and texts as one vector per user."""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import Fitted, RunContext
from schemas.config import ExecutionConfig, IngestConfig, RepresentConfig, Section, kind_of
from schemas.runs import Embedded, Recipe, Vectors
from tasks.serving.fitting import fit_representation


@task(name="represent", task_run_name="represent {high}", cache_policy=NO_CACHE)
def represent(
    families: Sequence[Section],
    fitted: Sequence[Fitted],
    texts: Embedded | None,
    config: RepresentConfig,
    ingest: IngestConfig,
    run: RunContext,
    high: float,
    execution: ExecutionConfig,
) -> Vectors:
    """Scales, balances and reduces the blocks."""
    blocks = dict(zip((kind_of(family) for family in families), fitted, strict=True))
    represented = fit_representation(blocks, texts, config, (ingest.missing, ingest.outliers), run, execution)
    recipe = Recipe(
        features={kind_of(f): f.model_dump(mode="json") for f in families}, represent=config.model_dump(mode="json")
    )
    return Vectors(recipe=recipe, high=high, features=blocks, texts=texts, represented=represented)
