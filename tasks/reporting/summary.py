"""The one page of Markdown that tells what came of a retrain, on its flow run in Prefect."""

from collections.abc import Iterator
from pathlib import Path

from schemas.reports import Lineage
from schemas.runs import Summary
from tasks.reporting.marked import plain, table

REPORT = "report"
"""The folder of a run's files in which MLflow has the report."""
CURVES = "/model-metrics"
"""A run's charts: silhouette, within-cluster squares, stability and lift against k come first."""


def run_page(mlflow: str, experiment: str, run: str, part: str = "") -> str:
    """A page of a run; without the words behind `?` it lacks runs and registry."""
    return f"{mlflow}/#/experiments/{experiment}/runs/{run}{part}?workflowType=machine_learning"


def report_page(mlflow: str, experiment: str, run: str, report: Path) -> str:
    """Where MLflow shows a report: pages of a server may not open a file."""
    return run_page(mlflow, experiment, run, f"/artifacts/{REPORT}/{report.name}")


def markdown(told: Summary) -> str:
    """Verdict and why, the segments, what became of those before, and where to read on."""
    parts = [_verdict(told), f"Chosen: {plain(told.chosen)}. {plain(told.reason)}", _segments(told)]
    return "\n\n".join([*parts, *_became(told.lineage), _links(told)])


def _verdict(told: Summary) -> str:
    """Whether it is live, and what refused it."""
    version = f"version {told.model_version} of {told.segmentation}"
    if told.promoted:
        head = f"**Promoted: {version} is live.** {told.verdict.counted}."
    else:
        head = f"**Refused: {version} is not live; what was live stays.** {told.verdict.counted}."
    override = f" Overridden by {plain(told.verdict.override)}." if told.verdict.override else ""
    gates = [f"- {plain(gate.name)}: {plain(gate.why)} (bound {plain(gate.bound)})" for gate in told.verdict.failures]
    return "\n".join([head + override, *([""] if gates else []), *gates])


def _segments(told: Summary) -> str:
    rows = [(one.segment_id, one.name, f"{one.size:,}", f"{one.share:.1%}") for one in told.profiles]
    return table(("segment", "name", "users", "share"), rows)


def _became(lineage: Lineage) -> Iterator[str]:
    """What became of the champion's segments, where there was one."""
    if not any(change.old for change in lineage.changes):
        return
    if lineage.moved_share is not None:
        yield f"{lineage.moved_share:.1%} of the known users change segment."
    rows = [
        (
            change.kind,
            ", ".join(change.old) or "–",
            ", ".join(change.new) or "–",
            "–" if change.overlap is None else f"{change.overlap:.0%}",
            "–" if change.cosine is None else f"{change.cosine:.2f}",
        )
        for change in lineage.changes
    ]
    yield table(("", "before", "now", "members kept", "cosine"), rows)


def _links(told: Summary) -> str:
    mlflow, run_id = told.pages.mlflow, (told.experiment_id, told.run_id)
    run = f"[Run in MLflow]({run_page(mlflow, *run_id)})"
    curves = f"[quality against k]({run_page(mlflow, *run_id, CURVES)})"
    model = f"[version {told.model_version}]({mlflow}/#/models/{told.segmentation}/versions/{told.model_version})"
    report = f"[report]({report_page(mlflow, *run_id, Path(told.report))})"
    return f"{run} · {curves} · {model} · {report} (`{told.report}`)"
