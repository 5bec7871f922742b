"""Renders the report of a retrain and keeps it as an artifact of the run."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from schemas.artifacts import ArtifactRef, RunContext
from schemas.reports import EvaluationReport, Lineage, SegmentProfile, ValidationReport, Verdict
from schemas.runs import Attempt, Contest, Landed, Proof, Registered
from schemas.tables import COLUMN, REASON, SEGMENT_ID, TABLE
from tasks.segments import figures
from tasks.segments.report import Picture, ReportView, SetAside, render
from tasks.serving.candidates import EXTRAS, LABELS
from tasks.serving.fitting import matrix
from tasks.stores.artifacts import load_state, write_text
from tasks.stores.buckets import read_frames, read_table
from tasks.stores.flat import flat_metrics
from tasks.stores.ledger import Ledger

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEGMENTS, QUALITY, CANDIDATES = "segments", "quality", "candidates"


class Drawn(NamedTuple):
    """A figure, its caption and the section of the page where it stands."""

    caption: str
    figure: "Figure"
    place: str


def drawn(contest: Contest, profiles: tuple[SegmentProfile, ...], seed: int) -> list[Drawn]:
    """Every figure of a retrain: of the chosen candidate's segments first, then of the candidates."""
    from tasks.metrics.silhouette import silhouette_samples

    _, X = matrix(contest.best.vectors)
    labels = load_state(contest.best.fitted).arrays[LABELS]
    ids = [profile.segment_id for profile in profiles]
    names = [f"{profile.segment_id} {profile.name}" for profile in profiles]
    values = silhouette_samples(X, labels, "cosine")
    return [
        Drawn("Users on the first two principal axes", figures.user_map(X, labels, ids, seed), SEGMENTS),
        Drawn("Users of each segment", figures.sizes([profile.size for profile in profiles], names), SEGMENTS),
        *_swept(contest),
        *_compared(contest.reports),
        Drawn("Silhouette (cosine) of every user, by segment", figures.silhouettes(values, labels, ids), QUALITY),
        *(one for attempt in contest.attempts for one in _curves(attempt)),
    ]


def _swept(contest: Contest) -> list[Drawn]:
    """Silhouette and within-cluster sum of squares against the number of segments, where one algorithm tried three."""
    fresh = [one for one in contest.reports if one.kind == contest.report.kind and "k" in one.params and not one.warm]
    found = []
    swept = (("silhouette.cosine", "Silhouette (cosine) against k"), ("wcss", "Elbow: within-cluster sum of squares"))
    for metric, caption in swept:
        points = [(one.params["k"], value) for one in fresh if (value := one.value(metric)) is not None]
        if len(points) > 2:
            ks, values = zip(*points, strict=True)
            found.append(
                Drawn(
                    caption,
                    figures.against_k(ks, values, metric.replace(".", ", "), contest.report.params["k"]),
                    CANDIDATES,
                )
            )
    return found


def _compared(reports: Sequence[EvaluationReport]) -> list[Drawn]:
    """Stability and validation lift of every candidate, with their intervals."""
    found = []
    measures = (("stability", "stability (mean ARI)", "Stability of each candidate, with its 95 % interval"),
                ("heldout_lift", "lift on the validation slice",
                 "Validation lift of each candidate, with its 95 % interval"))  # fmt: skip
    for name, what, caption in measures:
        known = [(one.candidate, one.metrics[name]) for one in reports if one.value(name) is not None]
        if known:
            values, ends = [metric.value or 0.0 for _, metric in known], [metric.interval for _, metric in known]
            figure = figures.intervals([candidate for candidate, _ in known], values, ends, what)
            found.append(Drawn(caption, figure, CANDIDATES))
    return found


def _curves(attempt: Attempt) -> list[Drawn]:
    """The k-distance curve or the dendrogram, where the candidate's algorithm left one."""
    arrays, name = load_state(attempt.fitted).arrays, attempt.candidate.name
    found = []
    if (curve := arrays.get(f"{EXTRAS}k_distances")) is not None:
        figure = figures.k_distance(curve, float(arrays[f"{EXTRAS}eps"].item()))
        found.append(Drawn(f"Distances to the k-th neighbour, {name}", figure, CANDIDATES))
    if (linkage := arrays.get(f"{EXTRAS}linkage")) is not None and len(linkage):
        segments = int(arrays[LABELS].max(initial=-1)) + 1
        found.append(Drawn(f"Dendrogram, {name}", figures.dendrogram(linkage, segments), CANDIDATES))
    return found


def set_aside(quarantine: ArtifactRef) -> tuple[SetAside, ...]:
    """How many rows were set aside, by table, column and reason; most first."""
    frame = read_table(quarantine).group_by(TABLE, COLUMN, REASON).len().sort("len", TABLE, COLUMN, descending=True)
    return tuple(SetAside(table=t, column=c, reason=r, rows=n) for t, c, r, n in frame.iter_rows())


def assigned(assignments: ArtifactRef) -> dict[str | None, int]:
    """Segment id -> users in a table of assignments; None: those without a segment."""
    counted: Counter[str | None] = Counter()
    for frame in read_frames(assignments, [SEGMENT_ID]):
        counted.update(dict(frame[SEGMENT_ID].value_counts().iter_rows()))
    return dict(counted)


def linked(validations: Sequence[ValidationReport], page: Path) -> dict[str, str]:
    """Stage -> link from the page to its Data Docs, relative, so that the state folder can be moved or served."""
    docs = {one.stage: one.docs for one in validations if one.docs}
    return {stage: quote(os.path.relpath(place, page.parent)) for stage, place in docs.items()}


def inlined(pictures: Sequence[Drawn]) -> tuple[Picture, ...]:
    """The figures as SVG for the page."""
    return tuple(
        Picture(caption=one.caption, svg=figures.svg(one.figure, one.caption, f"f{number}"), place=one.place)
        for number, one in enumerate(pictures)
    )


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
    pictures = drawn(contest, profiles, run.seed) if ledger.config.log_figures else []
    path = Path(run.home) / "reports" / segmentation / f"{run.run_id}.html"
    view = ReportView(
        segmentation=segmentation, as_of=f"{run.as_of:%Y-%m-%d %H:%M} UTC", model_version=model.version,
        run_id=run.run_id, profiles=profiles, evaluations=contest.reports, choice=contest.choice, verdict=verdict,
        lineage=lineage, proof=proof, accounts=landed.accounts, set_aside=set_aside(landed.quarantine),
        validations=validations, docs=linked(validations, path), pictures=inlined(pictures),
        assigned=assigned(model.assignments),
    )  # fmt: skip
    write_text(path, render(view))
    metrics = {f"quality.{name}": value for name, value in flat_metrics(contest.report.metrics).items()}
    measured = {"proof": proof.heldout, **({"proof.one_to_one": proof.one_to_one} if proof.one_to_one else {})}
    ledger.metrics(run.run_id, {**metrics, **flat_metrics(measured)})
    ledger.files(run.run_id, path, "report")
    for picture in pictures:
        ledger.figure(run.run_id, picture.caption, picture.figure)
    return path
