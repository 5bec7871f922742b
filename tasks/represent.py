"""represent: feature blocks and texts as one vector per user."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import Fitted
from schemas.config import RepresentConfig, Section
from schemas.runs import Embedded, Recipe, Slice, Vectors
from tasks.stores.book import Day
from tasks.vectors.features import fit_representation


@task(name="represent", task_run_name="represent {part.share}", cache_policy=NO_CACHE)
def represent(
    day: Day,
    families: Mapping[str, Section],
    blocks: Mapping[str, Fitted],
    texts: Embedded | None,
    config: RepresentConfig,
    part: Slice,
) -> Vectors:
    """Scales, balances and reduces the blocks."""
    ingest = day.settings.ingest
    policies = (ingest.missing, ingest.outliers)
    represented = fit_representation(blocks, texts, config, policies, day.context, day.settings.execution)
    features = {kind: family.model_dump(mode="json") for kind, family in families.items()}
    recipe = Recipe(features=features, represent=config.model_dump(mode="json"))
    return Vectors(recipe=recipe, slice=part, features=dict(blocks), texts=texts, represented=represented)
