"""Renders the report of a retrain and keeps it as an artifact of the run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.artifacts import ArtifactRef, RunContext
from schemas.reports import EvaluationReport, Lineage, SegmentProfile, ValidationReport, Verdict
from schemas.runs import Attempt, Contest, Landed, Proof, Registered
from schemas.tables import COLUMN, REASON, TABLE
from tasks.segments import figures
from tasks.segments.report import ReportView, SetAside, render
from tasks.serving.candidates import LABELS
from tasks.serving.fitting import matrix
from tasks.stores.artifacts import load_state, write_text
from tasks.stores.buckets import read_table
from tasks.stores.ledger import Ledger, flat_metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawn(
    attempt: Attempt, profiles: tuple[SegmentProfile, ...], evaluations: Sequence[EvaluationReport], seed: int
) -> "dict[str, Figure]":
    """Caption -> figure."""
    from tasks.metrics.silhouette import silhouette_samples

    _, X = matrix(attempt.vectors)
    labels = load_state(attempt.fitted).arrays[LABELS]
    names = [f"{profile.segment_id} {profile.name}" for profile in profiles]
    found = {
        "Users on the first two principal axes": figures.user_map(X, labels, names, seed),
        "Users of each segment": figures.sizes([profile.size for profile in profiles], names),
        "Silhouette of every user, by segment": figures.silhouettes(silhouette_samples(X, labels, "cosine"), labels),
    }
    swept = [report for report in evaluations if "k" in report.params and not report.warm]
    for metric, caption in (("silhouette", "Silhouette against k"), ("wcss", "Elbow: within-cluster sum of squares")):
        points = [(report.params["k"], report.value(metric)) for report in swept if report.value(metric) is not None]
        if len(points) > 2:
            found[caption] = figures.against_k(*map(list, zip(*points, strict=True)), metric)
    return found


def set_aside(quarantine: ArtifactRef) -> tuple[SetAside, ...]:
    """How many rows were set aside, by table, column and reason; most first."""
    frame = read_table(quarantine).group_by(TABLE, COLUMN, REASON).len().sort("len", TABLE, COLUMN, descending=True)
    return tuple(SetAside(table=t, column=c, reason=r, rows=n) for t, c, r, n in frame.iter_rows())


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
) -> Path:
    """Writes the page, logs it with figures and metrics to the run, and returns its path."""
    pictures = drawn(contest.best, profiles, contest.reports, run.seed) if ledger.config.log_figures else {}
    view = ReportView(
        segmentation=segmentation, as_of=f"{run.as_of:%Y-%m-%d %H:%M} UTC", model_version=model.version,
        run_id=run.run_id, profiles=profiles, evaluations=contest.reports, choice=contest.choice, verdict=verdict,
        lineage=lineage, proof=proof, accounts=landed.accounts, set_aside=set_aside(landed.quarantine),
        validations=validations, figures={caption: figures.svg(figure) for caption, figure in pictures.items()},
    )  # fmt: skip
    path = Path(run.home) / "reports" / segmentation / f"{run.run_id}.html"
    write_text(path, render(view))
    metrics = {f"quality.{name}": value for name, value in flat_metrics(contest.report.metrics).items()}
    measured = {"proof": proof.heldout, **({"proof.one_to_one": proof.one_to_one} if proof.one_to_one else {})}
    ledger.metrics(run.run_id, {**metrics, **flat_metrics(measured)})
    ledger.files(run.run_id, path, "report")
    for caption, figure in pictures.items():
        ledger.figure(run.run_id, caption, figure)
    return path
