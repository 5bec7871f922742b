"""identify: which new cluster is which of the champion's segments; ids are kept or new, never reused."""

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from schemas.config import IdentityConfig
from schemas.reports import Lineage
from schemas.runs import Attempt, Standing
from tasks.serving.identifying import lineage_of, markdown


@task(name="identify", cache_policy=NO_CACHE)
def identify(attempt: Attempt, standing: Standing | None, config: IdentityConfig) -> Lineage:
    """Matches the chosen candidate's clusters with the champion's segments."""
    lineage = lineage_of(attempt.fitted, attempt.vectors, standing, config)
    create_markdown_artifact(markdown(lineage), key="lineage", description="What became of the champion's segments")
    return lineage
