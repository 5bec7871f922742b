"""The one page of Markdown that tells what came of a retrain, on its flow run in Prefect."""

from collections.abc import Iterator

from schemas.reports import Lineage
from schemas.runs import Summary
from tasks.reporting.marked import plain, table


def markdown(told: Summary, mlflow: str) -> str:
    """Verdict and why, the segments, what became of those before, and where to read on.

    Args:
        told: What the retrain tells at its end.
        mlflow: Address of MLflow's pages.
    """
    warning = [f"⚠ **{plain(told.warning)}**"] if told.warning else []
    parts = [_verdict(told), *warning, f"Chosen: {plain(told.chosen)}. {plain(told.reason)}", _segments(told)]
    return "\n\n".join([*parts, *_became(told.lineage), _links(told, mlflow)])


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
    named = [(one, f"{'⚠ ' * one.unclear}{one.name}") for one in told.profiles]
    rows = [(one.segment_id, name, f"{one.size:,}", f"{one.share:.1%}") for one, name in named]
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


def _links(told: Summary, mlflow: str) -> str:
    run = f"[Run in MLflow]({mlflow}/#/{told.mlflow_page})"
    curves = f"[quality against k]({mlflow}/#/{told.mlflow_curves})"
    model = f"[version {told.model_version}]({mlflow}/#/models/{told.segmentation}/versions/{told.model_version})"
    return f"{run} · {curves} · {model} · report: `{told.report}`"
