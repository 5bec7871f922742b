"""validate: every hand-over of tables passes its expectations, or the run stops before anything is published."""

from collections.abc import Mapping

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ValidateConfig
from schemas.reports import Accounting, ValidationReport
from tasks.serving.validating import check, markdown, refuse


@task(name="validate", task_run_name="validate {stage}", cache_policy=NO_CACHE)
def validate(
    stage: str,
    tables: Mapping[str, ArtifactRef],
    config: ValidateConfig,
    run: RunContext,
    segmentation: str,
    accounts: tuple[Accounting, ...] = (),
) -> ValidationReport:
    """Runs the suites of the given tables and tells the outcome; an error stops the run."""
    report = check(stage, tables, config, run, segmentation, accounts)
    create_markdown_artifact(markdown(report), key=f"validation-{stage}", description=f"Expectations: {stage}")
    for result in report.results:
        if not result.passed:
            get_run_logger().warning("%s %s: %s (%s)", result.severity, result.rule, result.observed, result.bound)
    refuse(report)
    return report
