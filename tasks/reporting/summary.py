"""The one page of Markdown that tells what came of a retrain, on its flow run in Prefect."""

from collections.abc import Iterator
from pathlib import Path

from schemas.reports import Lineage
from schemas.runs import Summary
from tasks.phrases.words import Words
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


def markdown(told: Summary, language: str = "en") -> str:
    """Verdict and why, the segments, what became of those before, and where to read on.

    Args:
        told: What the retrain tells at its end.
        language: Of the words: en or zh.
    """
    say = Words(language)
    chosen = say("summary.chosen", candidate=plain(told.chosen), reason=plain(say.told(told.reason)))
    warning = [f"⚠ **{plain(told.warning)}**"] if told.warning else []
    parts = [_verdict(told, say), *warning, chosen, _segments(told, say), *map(plain, told.beside)]
    return "\n\n".join([*parts, *_became(told.lineage, say), _links(told, say)])


def _verdict(told: Summary, say: Words) -> str:
    """Whether it is live, and what refused it."""
    version = say("summary.version", version=told.model_version, name=told.segmentation)
    came = say("summary.promoted" if told.promoted else "summary.refused", version=version)
    head = f"**{came}** {say.told(told.verdict.counted)}{say('page.stop')}"
    override = say("summary.overridden", override=plain(told.verdict.override)) if told.verdict.override else ""
    gates = [
        say("summary.gate", name=plain(gate.name), why=plain(say.told(gate.why)), bound=plain(say.told(gate.bound)))
        for gate in told.verdict.failures
    ]
    return "\n".join([head + override, *([""] if gates else []), *gates])


def _segments(told: Summary, say: Words) -> str:
    named = [(one, f"{'⚠ ' * one.unclear}{one.name}") for one in told.profiles]
    rows = [(one.segment_id, name, f"{one.size:,}", f"{one.share:.1%}") for one, name in named]
    head = ("summary.segment", "segments.name", "segments.users", "segments.share")
    return table([say(key) for key in head], rows)


def _became(lineage: Lineage, say: Words) -> Iterator[str]:
    """What became of the champion's segments, where there was one."""
    if not any(change.old for change in lineage.changes):
        return
    if lineage.moved_share is not None:
        yield say("summary.moved", share=lineage.moved_share)
    rows = [
        (
            say(f"lineage.{change.kind}"),
            say("page.comma").join(change.old) or "–",
            say("page.comma").join(change.new) or "–",
            "–" if change.overlap is None else f"{change.overlap:.0%}",
            "–" if change.cosine is None else f"{change.cosine:.2f}",
        )
        for change in lineage.changes
    ]
    head = [say(key) for key in ("lineage.before", "lineage.now", "lineage.kept", "summary.cosine")]
    yield table(("", *head), rows)


def _links(told: Summary, say: Words) -> str:
    mlflow, run_id = told.pages.mlflow, (told.experiment_id, told.run_id)
    run = f"[{say('summary.run')}]({run_page(mlflow, *run_id)})"
    curves = f"[{say('summary.curves')}]({run_page(mlflow, *run_id, CURVES)})"
    version = say("summary.model", version=told.model_version)
    model = f"[{version}]({mlflow}/#/models/{told.segmentation}/versions/{told.model_version})"
    report = f"[{say('summary.report')}]({report_page(mlflow, *run_id, Path(told.report))})"
    return f"{run} · {curves} · {model} · {report} (`{told.report}`)"
