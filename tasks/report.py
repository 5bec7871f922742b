"""report: one page that tells what came out, and why."""

from prefect import task
from prefect.artifacts import create_link_artifact
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import RunContext
from schemas.reports import Lineage, SegmentProfile, ValidationReport, Verdict
from schemas.runs import Contest, Landed, Proof, Registered
from tasks.serving import reporting
from tasks.stores.ledger import Ledger


@task(name="report", cache_policy=NO_CACHE)
def report(
    segmentation: str,
    landed: Landed,
    contest: Contest,
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
    told = (segmentation, landed, contest, proof, lineage, profiles, model, verdict, validations)
    path = reporting.report(*told, run, ledger)
    create_link_artifact(path.as_uri(), link_text=f"Report of {segmentation}", key="report")
    return str(path)
