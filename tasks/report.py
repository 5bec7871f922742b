"""report: one page that tells what came out, and why."""

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_link_artifact
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import RunContext
from schemas.reports import Choice, EvaluationReport, Lineage, SegmentProfile, ValidationReport, Verdict
from schemas.runs import Attempt, Landed, Proof, Registered
from tasks.serving import reporting
from tasks.stores.ledger import Ledger


@task(name="report", cache_policy=NO_CACHE)
def report(
    segmentation: str,
    attempt: Attempt,
    landed: Landed,
    evaluations: Sequence[EvaluationReport],
    choice: Choice,
    proof: Proof,
    lineage: Lineage,
    profiles: tuple[SegmentProfile, ...],
    model: Registered,
    verdict: Verdict,
    validations: tuple[ValidationReport, ...],
    run: RunContext,
    ledger: Ledger,
) -> str:
    """Writes the HTML report and links it."""
    told = (segmentation, attempt, landed, evaluations, choice, proof, lineage, profiles, model, verdict, validations)
    path = reporting.report(*told, run, ledger)
    create_link_artifact(path.as_uri(), link_text=f"Report of {segmentation}", key="report")
    return str(path)
