"""evaluate: everything measured about one candidate, logged as a nested run."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from schemas.reports import EvaluationReport
from schemas.runs import Attempt, Slices, Standing, Unfit
from tasks.candidates.figures import evaluate_candidate
from tasks.reporting.compared import distinguishing
from tasks.stores.book import Day


@task(name="evaluate", task_run_name="evaluate {attempt.candidate.name}", cache_policy=NO_CACHE)
def evaluate(day: Day, attempt: Attempt | Unfit, slices: Slices, champion: Standing | None) -> EvaluationReport:
    """Measures one candidate and logs its nested run, whether or not the numbers were at hand already."""
    report = evaluate_candidate(day, attempt, slices, champion)
    day.ledger.candidate(day.context.run_id, report, distinguishing(report, day.settings.search.candidates))
    for line in report.warnings:
        get_run_logger().warning("%s: %s", report.candidate, line)
    return report
