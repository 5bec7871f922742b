"""evaluate: everything measured about one candidate, logged as a nested run."""

from collections.abc import Mapping

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import EvaluateConfig, IdentityConfig, SelectConfig
from schemas.reports import EvaluationReport
from schemas.runs import Attempt, Standing, Unfit
from tasks.serving.evaluating import evaluate_candidate
from tasks.stores.ledger import Ledger


@task(name="evaluate", task_run_name="evaluate {attempt.candidate.name}", cache_policy=NO_CACHE)
def evaluate(
    attempt: Attempt | Unfit,
    standing: Standing | None,
    tables: Mapping[str, ArtifactRef],
    config: EvaluateConfig,
    select: SelectConfig,
    identity: IdentityConfig,
    run: RunContext,
    ledger: Ledger,
) -> EvaluationReport:
    """Measures one candidate and logs its nested run, whether or not the numbers were at hand already."""
    report = evaluate_candidate(attempt, standing, tables, config, select, identity, run)
    ledger.candidate(run.run_id, report)
    for line in report.warnings:
        get_run_logger().warning("%s: %s", report.candidate, line)
    return report
