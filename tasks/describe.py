"""describe: what each segment is and what it is called, with the evidence."""

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from schemas.reports import Lineage, SegmentProfile
from schemas.runs import Built, Standing, Vectors
from tasks.reporting import segments
from tasks.stores.book import Day


@task(name="describe", cache_policy=NO_CACHE)
def describe(
    day: Day, built: Built, lineage: Lineage, vectors: Vectors, champion: Standing | None
) -> tuple[SegmentProfile, ...]:
    """Profiles and names the segments as they would be published."""
    profiles = segments.describe(day, built, lineage, vectors, champion)
    create_markdown_artifact(segments.markdown(profiles), key="segments", description="Segments and their evidence")
    return profiles
