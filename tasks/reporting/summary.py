"""The one page of Markdown that tells what came of a retrain, on its flow run in Prefect."""

from collections.abc import Iterator

from schemas.reports import Lineage
from schemas.runs import Summary
from tasks.reporting.marked import plain, table
from tasks.reporting.phrases import Words


def markdown(told: Summary, mlflow: str, language: str = "en") -> str:
    """Verdict and why, the segments, what became of those before, and where to read on.

    Args:
        told: What the retrain tells at its end.
        mlflow: Address of MLflow's pages.
        language: Of the words: en or zh.
    """
    say = Words(language)
    chosen = say("summary.chosen", candidate=plain(told.chosen), reason=plain(say.told(told.reason)))
    warning = [f"⚠ **{plain(told.warning)}**"] if told.warning else []
    parts = [_verdict(told, say), *warning, chosen, _segments(told, say)]
    return "\n\n".join([*parts, *_became(told.lineage, say), _links(told, mlflow, say)])


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


def _links(told: Summary, mlflow: str, say: Words) -> str:
    run = f"[{say('summary.run')}]({mlflow}/#/{told.mlflow_page})"
    curves = f"[{say('summary.curves')}]({mlflow}/#/{told.mlflow_curves})"
    version = say("summary.model", version=told.model_version)
    model = f"[{version}]({mlflow}/#/models/{told.segmentation}/versions/{told.model_version})"
    return f"{run} · {curves} · {model} · {say('summary.report')} `{told.report}`"
