"""report: one page that tells what came out, and why."""

from prefect import task
from prefect.artifacts import create_link_artifact
from prefect.cache_policies import NO_CACHE

from schemas.gates import GateInput
from schemas.reports import Verdict
from schemas.runs import Outcome
from tasks.health.pages import pages
from tasks.reporting import page
from tasks.reporting.summary import report_page
from tasks.stores.book import Day


@task(name="report", cache_policy=NO_CACHE)
def report(day: Day, outcome: Outcome, judged: GateInput, verdict: Verdict) -> str:
    """Writes the HTML report and links it."""
    path = page.report(day, outcome, judged, verdict)
    run, ledger = day.context, day.ledger
    mlflow = pages(run.home, None, ledger.config).mlflow
    address = report_page(mlflow, ledger.experiment_id, run.run_id, path)
    create_link_artifact(address, link_text=f"Report of {day.name}", key="report")
    return str(path)
