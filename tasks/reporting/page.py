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
from schemas.yardsticks import Yardsticks
from tasks.candidates.candidate import EXTRAS, LABELS
from tasks.disk.artifacts import load_state, write_text
from tasks.models.told import labels_of
from tasks.phrases.words import ENGLISH, Words
from tasks.reporting import pictures
from tasks.reporting.beside import called, ranked
from tasks.reporting.summary import REPORT
from tasks.reporting.view import Picture, ReportView, SetAside, render
from tasks.segments.unclear import warned
from tasks.stores.book import Day
from tasks.stores.buckets import read_frames, read_table
from tasks.stores.flat import flat_metrics
from tasks.vectors.features import matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEGMENTS, BESIDE, QUALITY, CANDIDATES = "segments", "beside", "quality", "candidates"


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
    recall and coverage, and so on; `gap.*` the differences that the gates decide by; `proof.user.<way>.<measure>` every
    way to recommend on that slice.
    """
    quality = {f"quality.{name}": metric for name, metric in outcome.contest.report.metrics.items()}
    proof = {f"proof.{name.replace('lift.', '')}": metric for name, metric in lifts(judged).items()}
    beside = {name: value for told in outcome.yardsticks for name, value in told.flat().items()}
    gaps = {
        f"gap.{name}{end}": value
        for name, gap in judged.differences.items()
        for end, value in (("", gap.value), (".low", gap.low), (".high", gap.high))
    }
    return {**flat_metrics({**quality, **proof}), **gaps, **beside}


def drawn(
    contest: Contest,
    assignments: ArtifactRef,
    profiles: Sequence[SegmentProfile],
    seed: int,
    say: Words = ENGLISH,
    yardsticks: Sequence[Yardsticks] = (),
) -> list[Drawn]:
    """Every figure of a retrain: of the segments as published first, then of ways to recommend and of candidates."""
    from tasks.metrics.silhouette import silhouette_samples

    users, X = matrix(contest.best.vectors)
    labels = labels_of(assignments, [profile.segment_id for profile in profiles], users)
    ids = [profile.segment_id for profile in profiles]
    names = [f"{profile.segment_id} {profile.name}".rstrip() for profile in profiles]
    own, counts = [profile.colour or pictures.PLAIN for profile in profiles], [profile.size for profile in profiles]
    values = silhouette_samples(X, labels, "cosine")
    return [
        Drawn(say("pictures.map"), pictures.user_map(X, labels, ids, own, seed, say), SEGMENTS),
        Drawn(say("pictures.sizes"), pictures.sizes(counts, names, own, say), SEGMENTS),
        *(one for told in yardsticks for one in _beside(told, say)),
        *_swept(contest, say),
        *_compared(contest.reports, say),
        Drawn(say("pictures.silhouettes"), pictures.silhouettes(values, labels, ids, own, say), QUALITY),
        *(one for attempt in contest.attempts for one in _curves(attempt, say)),
    ]


def _beside(told: Yardsticks, say: Words) -> list[Drawn]:
    """Every way to recommend against the strongest popularity."""
    known = [(way, way.against.lift) for way in ranked(told) if way.against is not None]
    if not known:
        return []
    names, values = [called(way.name, say) for way, _ in known], [100 * lift.value for _, lift in known]
    ends = [(100 * lift.low, 100 * lift.high) for _, lift in known]
    return [
        Drawn(
            say(f"beside.{told.protocol}_picture"), pictures.intervals(names, values, ends, say("beside.axis")), BESIDE
        )
    ]


def _swept(contest: Contest, say: Words) -> list[Drawn]:
    """Silhouette and within-cluster sum of squares against the number of segments, where one algorithm tried three."""
    fresh = [one for one in contest.reports if one.kind == contest.report.kind and "k" in one.params and not one.warm]
    found = []
    for metric, what in (("silhouette.cosine", "silhouette"), ("wcss", "elbow")):
        points = [(one.params["k"], value) for one in fresh if (value := one.value(metric)) is not None]
        if len(points) > 2:
            ks, values = zip(*points, strict=True)
            axis, chosen = say(f"pictures.{what}_axis"), contest.report.params["k"]
            figure = pictures.against_k(ks, values, axis, chosen, say)
            found.append(Drawn(say(f"pictures.{what}"), figure, CANDIDATES))
    return found


def _compared(reports: Sequence[EvaluationReport], say: Words) -> list[Drawn]:
    """Stability and validation lift of every candidate, with their intervals."""
    found = []
    for name, what in (("stability", "stability"), ("heldout_lift", "lift")):
        known = [(one.candidate, one.metrics[name]) for one in reports if one.value(name) is not None]
        if known:
            values, ends = [metric.value or 0.0 for _, metric in known], [metric.interval for _, metric in known]
            axis = say(f"pictures.{what}_axis")
            figure = pictures.intervals([candidate for candidate, _ in known], values, ends, axis)
            found.append(Drawn(say(f"pictures.{what}"), figure, CANDIDATES))
    return found


def _curves(attempt: Attempt, say: Words) -> list[Drawn]:
    """The k-distance curve or the dendrogram, where the candidate's algorithm left one."""
    arrays, name = load_state(attempt.fitted).arrays, attempt.candidate.name
    found = []
    if (curve := arrays.get(f"{EXTRAS}k_distances")) is not None:
        figure = pictures.k_distance(curve, float(arrays[f"{EXTRAS}eps"].item()), say)
        found.append(Drawn(say("pictures.distances", candidate=name), figure, CANDIDATES))
    if (linkage := arrays.get(f"{EXTRAS}linkage")) is not None and len(linkage):
        segments = int(arrays[LABELS].max(initial=-1)) + 1
        figure = pictures.dendrogram(linkage, segments, say=say)
        found.append(Drawn(say("pictures.dendrogram", candidate=name), figure, CANDIDATES))
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
    """Writes the page, logs it with pictures and metrics to the run, and returns its path.

    MLflow's pictures are English, whatever the page speaks: PNGs lack Chinese letters, and runs are compared by names.
    """
    run, ledger, contest, model = day.context, day.ledger, outcome.contest, outcome.model
    say, shown, kept = Words(day.settings.describe.language), [], []
    if ledger.config.log_figures:
        plain = tuple(p.model_copy(update={"name": pictures.latin(p.name)}) for p in outcome.profiles)
        shown = drawn(contest, model.assignments, outcome.profiles, run.seed, say, outcome.yardsticks)
        same = say.language == ENGLISH.language and plain == outcome.profiles
        kept = shown if same else drawn(contest, model.assignments, plain, run.seed, ENGLISH, outcome.yardsticks)
    path = Path(run.home) / "reports" / day.name / f"{run.run_id}.html"
    view = ReportView(
        language=say.language,
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
        yardsticks=outcome.yardsticks,
        groups=judged.groups,
        accounts=day.landed.accounts,
        set_aside=set_aside(day.landed.quarantine),
        validations=outcome.checks,
        docs=linked(outcome.checks, path),
        pictures=inlined(shown),
        assigned=assigned(model.assignments),
        warning=warned(outcome.profiles, day.settings.describe.language),
    )
    write_text(path, render(view))
    ledger.metrics(run.run_id, figures_of(outcome, judged))
    ledger.files(run.run_id, path, REPORT)
    for picture in kept:
        ledger.figure(run.run_id, picture.caption, picture.figure)
    return path
