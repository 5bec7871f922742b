"""evaluate: everything measured about one candidate, logged as a nested run."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import EvaluateConfig, SelectConfig
from schemas.reports import EvaluationReport
from schemas.runs import Vectors
from tasks.serving.candidates import evaluate_candidate
from tasks.stores.ledger import Ledger


@task(name="evaluate", cache_policy=NO_CACHE, tags=["cpu"])
def evaluate(
    fitted: ArtifactRef,
    vectors: Vectors,
    tables: Mapping[str, ArtifactRef],
    config: EvaluateConfig,
    select: SelectConfig,
    run: RunContext,
    ledger: Ledger,
) -> EvaluationReport:
    """Measures one candidate and logs its nested run, whether or not the numbers were at hand already."""
    report = evaluate_candidate(fitted, vectors.represented.output, tables, config, select, run)
    ledger.candidate(run.run_id, report)
    return report
