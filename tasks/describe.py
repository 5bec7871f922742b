"""describe: what each segment is and what it is called, with the evidence."""

from collections.abc import Mapping

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef
from schemas.config import DescribeConfig, ExecutionConfig
from schemas.reports import EvaluationReport, Lineage, SegmentProfile
from schemas.runs import Attempt, Standing, Vectors
from tasks.serving import describing


@task(name="describe", cache_policy=NO_CACHE)
def describe(
    attempt: Attempt,
    vectors: Vectors,
    tables: Mapping[str, ArtifactRef],
    lineage: Lineage,
    standing: Standing | None,
    report: EvaluationReport,
    config: DescribeConfig,
    execution: ExecutionConfig,
) -> tuple[SegmentProfile, ...]:
    """Profiles and names the chosen candidate's segments."""
    profiles = describing.describe(attempt, vectors, tables, lineage, standing, report, config, execution)
    create_markdown_artifact(describing.markdown(profiles), key="segments", description="Segments and their evidence")
    return profiles
