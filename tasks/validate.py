"""validate: every hand-over of tables passes its expectations."""

from collections.abc import Mapping

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef
from schemas.reports import ValidationReport
from tasks.stores.book import Day
from tasks.validation.handover import check, markdown, refuse


@task(name="validate", task_run_name="validate {stage}", cache_policy=NO_CACHE)
def validate(day: Day, stage: str, tables: Mapping[str, ArtifactRef], stops: bool = True) -> ValidationReport:
    """Runs the suites of the given tables and tells the outcome; an error stops the run, or is left to the gates."""
    report = check(stage, tables, day.settings.validation, day.context, day.name, day.landed.accounts)
    create_markdown_artifact(markdown(report), key=f"validation-{stage}", description=f"Expectations: {stage}")
    for result in report.results:
        if not result.passed:
            get_run_logger().warning("%s %s: %s (%s)", result.severity, result.rule, result.observed, result.bound)
    if stops:
        refuse(report)
    return report
