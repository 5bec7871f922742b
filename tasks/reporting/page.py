"""Renders the report of a retrain and keeps it as an artifact of the run."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from schemas.artifacts import ArtifactRef
from schemas.gates import CHAMPION, GateInput
from schemas.reports import EvaluationReport, Metric, SegmentProfile, ValidationReport, Verdict
from schemas.runs import Attempt, Contest, Outcome
from schemas.tables import COLUMN, REASON, SEGMENT_ID, TABLE
from tasks.candidates.candidate import EXTRAS, LABELS
from tasks.disk.artifacts import load_state, write_text
from tasks.models.told import labels_of
from tasks.reporting import pictures
from tasks.reporting.summary import REPORT
from tasks.reporting.view import Picture, ReportView, SetAside, render
from tasks.stores.book import Day
from tasks.stores.buckets import read_frames, read_table
from tasks.stores.flat import flat_metrics
from tasks.vectors.features import matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEGMENTS, QUALITY, CANDIDATES = "segments", "quality", "candidates"


class Drawn(NamedTuple):
    """A figure, its caption and the section of the page where it stands."""

    caption: str
    figure: "Figure"
    place: str


def lifts(judged: GateInput) -> dict[str, Metric]:
    """Held-out figures of all ways to recommend by segment that were measured."""
    return {name: metric for name, metric in judged.metrics.items() if name.removeprefix(CHAMPION).startswith("lift.")}


def figures_of(outcome: Outcome, judged: GateInput) -> dict[str, float]:
    """Everything measured in a retrain, under the names by which runs are compared.

    `quality.*` is the chosen candidate on all data (its lift there on the validation slice); `proof.recipe`,
    `proof.model`, `proof.champion.recipe`, `proof.champion.model` are lifts on the last slice, each with its precision,
    recall and coverage, and so on; `gap.*` the differences that the gates decide by.
    """
    quality = {f"quality.{name}": metric for name, metric in outcome.contest.report.metrics.items()}
    proof = {f"proof.{name.replace('lift.', '')}": metric for name, metric in lifts(judged).items()}
    one = {} if outcome.proof.one_to_one is None else {"proof.one_to_one": outcome.proof.one_to_one}
    gaps = {
        f"gap.{name}{end}": value
        for name, gap in judged.differences.items()
        for end, value in (("", gap.value), (".low", gap.low), (".high", gap.high))
    }
    return {**flat_metrics({**quality, **proof, **one}), **gaps}


def drawn(contest: Contest, assignments: ArtifactRef, profiles: Sequence[SegmentProfile], seed: int) -> list[Drawn]:
    """Every figure of a retrain: of the segments as published first, then of the candidates."""
    from tasks.metrics.silhouette import silhouette_samples

    users, X = matrix(contest.best.vectors)
    labels = labels_of(assignments, [profile.segment_id for profile in profiles], users)
    ids = [profile.segment_id for profile in profiles]
    names = [f"{profile.segment_id} {profile.name}" for profile in profiles]
    own = [profile.colour or pictures.PLAIN for profile in profiles]
    values = silhouette_samples(X, labels, "cosine")
    return [
        Drawn("Users on the first two principal axes", pictures.user_map(X, labels, ids, own, seed), SEGMENTS),
        Drawn("Users of each segment", pictures.sizes([profile.size for profile in profiles], names, own), SEGMENTS),
        *_swept(contest),
        *_compared(contest.reports),
        Drawn("Silhouette (cosine) of every user, by segment", pictures.silhouettes(values, labels, ids, own), QUALITY),
        *(one for attempt in contest.attempts for one in _curves(attempt)),
    ]


def _swept(contest: Contest) -> list[Drawn]:
    """Silhouette and within-cluster sum of squares against the number of segments, where one algorithm tried three."""
    fresh = [one for one in contest.reports if one.kind == contest.report.kind and "k" in one.params and not one.warm]
    found = []
    swept = (
        ("silhouette.cosine", "silhouette, cosine", "Silhouette (cosine) against k"),
        ("wcss", "wcss", "Elbow: within-cluster sum of squares"),
    )
    for metric, what, caption in swept:
        points = [(one.params["k"], value) for one in fresh if (value := one.value(metric)) is not None]
        if len(points) > 2:
            ks, values = zip(*points, strict=True)
            found.append(Drawn(caption, pictures.against_k(ks, values, what, contest.report.params["k"]), CANDIDATES))
    return found


def _compared(reports: Sequence[EvaluationReport]) -> list[Drawn]:
    """Stability and validation lift of every candidate, with their intervals."""
    found = []
    measures = (
        ("stability", "stability (mean ARI)", "Stability of each candidate, with its 95 % interval"),
        ("heldout_lift", "lift on the validation slice", "Validation lift of each candidate, with its 95 % interval"),
    )
    for name, what, caption in measures:
        known = [(one.candidate, one.metrics[name]) for one in reports if one.value(name) is not None]
        if known:
            values, ends = [metric.value or 0.0 for _, metric in known], [metric.interval for _, metric in known]
            figure = pictures.intervals([candidate for candidate, _ in known], values, ends, what)
            found.append(Drawn(caption, figure, CANDIDATES))
    return found


def _curves(attempt: Attempt) -> list[Drawn]:
    """The k-distance curve or the dendrogram, where the candidate's algorithm left one."""
    arrays, name = load_state(attempt.fitted).arrays, attempt.candidate.name
    found = []
    if (curve := arrays.get(f"{EXTRAS}k_distances")) is not None:
        figure = pictures.k_distance(curve, float(arrays[f"{EXTRAS}eps"].item()))
        found.append(Drawn(f"Distances to the k-th neighbour, {name}", figure, CANDIDATES))
    if (linkage := arrays.get(f"{EXTRAS}linkage")) is not None and len(linkage):
        segments = int(arrays[LABELS].max(initial=-1)) + 1
        found.append(Drawn(f"Dendrogram, {name}", pictures.dendrogram(linkage, segments), CANDIDATES))
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


def inlined(drawings: Sequence[Drawn]) -> tuple[Picture, ...]:
    """The pictures as SVG for the page."""
    return tuple(
        Picture(caption=one.caption, svg=pictures.svg(one.figure, one.caption, f"f{number}"), place=one.place)
        for number, one in enumerate(drawings)
    )


def report(day: Day, outcome: Outcome, judged: GateInput, verdict: Verdict) -> Path:
    """Writes the page, logs it with pictures and metrics to the run, and returns its path."""
    run, ledger, contest, model = day.context, day.ledger, outcome.contest, outcome.model
    drawings = drawn(contest, model.assignments, outcome.profiles, run.seed) if ledger.config.log_figures else []
    path = Path(run.home) / "reports" / day.name / f"{run.run_id}.html"
    view = ReportView(
        segmentation=day.name,
        as_of=f"{run.as_of:%Y-%m-%d %H:%M} UTC",
        model_version=model.version,
        run_id=run.run_id,
        profiles=outcome.profiles,
        evaluations=contest.reports,
        choice=contest.choice,
        verdict=verdict,
        lineage=outcome.lineage,
        lifts=lifts(judged),
        one_to_one=outcome.proof.one_to_one,
        groups=judged.groups,
        accounts=day.landed.accounts,
        set_aside=set_aside(day.landed.quarantine),
        validations=outcome.checks,
        docs=linked(outcome.checks, path),
        pictures=inlined(drawings),
        assigned=assigned(model.assignments),
    )
    write_text(path, render(view))
    ledger.metrics(run.run_id, figures_of(outcome, judged))
    ledger.files(run.run_id, path, REPORT)
    for picture in drawings:
        ledger.figure(run.run_id, picture.caption, picture.figure)
    return path
