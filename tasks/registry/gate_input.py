"""Gathers what the gates look at: the model that would go live, measured from two sides wherever there are two."""

from dataclasses import dataclass
from typing import Any

from schemas.artifacts import ArtifactRef
from schemas.evaluation import EvaluationContext
from schemas.gates import MODEL, RECIPE, SILHOUETTE, STABILITY, GateInput
from schemas.reports import Difference, Metric, ValidationReport
from schemas.runs import Candidate, Outcome, Proof, Publication, Recalled, Registered, Standing
from schemas.tables import SEGMENT_ID, SIZE, USER_ID
from schemas.yardsticks import Yardsticks
from tasks.candidates.differences import Bench, differences, groups, lifts, stability_of
from tasks.candidates.ground import Ground
from tasks.candidates.proof import measurable
from tasks.models.told import labels_of
from tasks.numerics.history import population
from tasks.plugins.find import plugin
from tasks.registry.tampering import leaked, shifted
from tasks.stores.book import Day
from tasks.stores.buckets import count, newest, parallel, read_bucket, read_table
from tasks.vectors.features import matrix
from tasks.yardsticks.gaps import gaps

FITTED_BEFORE = "the version was fitted on another day's data"


@dataclass(frozen=True)
class Side:
    """The model before the gates.

    Attributes:
        model: The registered version, with its assignments of today's users.
        candidate: Its algorithm, and where it starts.
        vectors: Today's users in its own space.
        proof: Held-out figures of its recipe.
        stability: Of its refits, where they were made on today's data already.
        fitted_on: The vectors that it was fitted on; None: those of another day.
        yardsticks: Ways to recommend beside its segments, where they were measured.
    """

    model: Registered
    candidate: Candidate
    vectors: ArtifactRef
    proof: Proof
    stability: Metric | None = None
    fitted_on: ArtifactRef | None = None
    yardsticks: tuple[Yardsticks, ...] = ()


def gather(
    day: Day,
    side: Side,
    publication: Publication,
    published: ValidationReport,
    standing: Standing | None,
    theirs: Proof | None,
) -> GateInput:
    """Everything that the gates look at.

    Args:
        day: The run.
        side: The model that would go live.
        publication: The tables that would be published with it.
        published: What the expectations found in those.
        standing: The champion, as readers have it and on today's data; None: nothing is live.
        theirs: Held-out figures of the champion's recipe, refitted.
    """
    bench = bench_of(day, side, publication, standing)
    proofs = (side.proof, theirs)
    metrics = metrics_of(bench, side) | lifts(bench, standing, proofs)
    found = gaps(side.yardsticks, standing is not None) | (
        {} if standing is None else differences(bench, standing, proofs, metrics)
    )
    why = {name: told for name, told in found.items() if isinstance(told, str)}
    why |= {} if side.fitted_on is not None else {"shifted": FITTED_BEFORE}
    return GateInput(
        **_counted(publication),
        metrics=metrics,
        required=required(day),
        champion=None if standing is None else standing.version,
        differences={name: gap for name, gap in found.items() if isinstance(gap, Difference)},
        incomparable=why,
        groups=groups(bench, standing, proofs),
        known=known_users(day),
        leaked=leaked(day, side.model),
        shifted=None if side.fitted_on is None else shifted(day, side.model, side.fitted_on),
        newest_event=newest(day.tables),
        now=day.context.now,
        previous_users=None if standing is None else standing.users,
        **({} if standing is None else _known(standing, publication.assignments)),
        broken=tuple(error.rule for error in published.errors),
    )


def of_outcome(day: Day, outcome: Outcome, theirs: Proof | None) -> GateInput:
    """What the gates look at of a model that was made in this run."""
    best, stable = outcome.contest.best, outcome.contest.report.metrics[STABILITY]
    side = Side(outcome.model, best.candidate, best.vectors, outcome.proof, stable, best.vectors, outcome.yardsticks)
    return gather(day, side, outcome.publication, outcome.checks[-1], outcome.champion, theirs)


def of_recalled(
    day: Day,
    recalled: Recalled,
    checked: tuple[Publication, ValidationReport],
    standing: Standing | None,
    proofs: tuple[Proof, Proof | None],
) -> GateInput:
    """What the gates look at of a version of another day, measured anew on today's data."""
    model = recalled.standing
    candidate = Candidate(name=f"version {model.version}", algorithm=model.algorithm)
    side = Side(recalled.model, candidate, model.placed["all"].vectors, proofs[0])
    return gather(day, side, *checked, standing, proofs[1])


def bench_of(day: Day, side: Side, publication: Publication, standing: Standing | None) -> Bench:
    """Today's users with their vectors and labels on both sides."""
    users, X = matrix(side.vectors)
    ids = read_table(publication.segments)[SEGMENT_ID].to_list()
    ours = labels_of(publication.assignments, ids, users)
    told = None
    if standing is not None and standing.published is not None:
        told = labels_of(standing.published, standing.ids, users)
    return Bench(day, users, X, side.candidate, side.vectors, ours, told, publication.assignments)


def metrics_of(bench: Bench, side: Side) -> dict[str, Metric]:
    """How separate and how repeatable the registered segments are."""
    day = bench.day
    context = EvaluationContext(X=bench.X, labels=bench.ours, space=bench.space, seed=day.context.seed)
    found = {SILHOUETTE: plugin("metrics", SILHOUETTE).compute(context, day.settings.evaluate)}
    here = Ground(side.vectors, day.tables)
    found[STABILITY] = side.stability or stability_of(bench, side.candidate, here, bench.ours, bench.assignments)
    return found


def required(day: Day) -> tuple[str, ...]:
    """Metrics that may not be missing: those that were asked for, and that the data has."""
    stable = (STABILITY,) if day.settings.evaluate.refits else ()
    return (SILHOUETTE, *stable, *((RECIPE, MODEL) if measurable(day) else ()))


def known_users(day: Day) -> int:
    """Users whom the input tables know at as_of, counted without any feature."""

    def one(number: int) -> int:
        return len(population(read_bucket(day.tables, number), day.as_of))

    return sum(parallel(one, range(count(day.tables)), day.settings.execution))


def _counted(publication: Publication) -> dict[str, Any]:
    """Counts over the tables that would be published: sizes as one of them tells them, rows as the other has them."""
    frame, segments = read_table(publication.assignments), read_table(publication.segments)
    return {
        "rows": len(frame),
        "distinct": frame[USER_ID].n_unique(),
        "unassigned": frame[SEGMENT_ID].null_count(),
        "sizes": dict(segments.select(SEGMENT_ID, SIZE).iter_rows()),
    }


def _known(standing: Standing, assignments: ArtifactRef) -> dict[str, Any]:
    """What becomes of the users whom readers know: how many are still there, and how many would change segment."""
    from tasks.segments.identity import churn

    assert standing.published is not None
    before, after = (read_table(ref).select(USER_ID, SEGMENT_ID) for ref in (standing.published, assignments))
    both = before.join(after, on=USER_ID, suffix="_after")
    moved = churn(both[SEGMENT_ID].to_numpy(), both[f"{SEGMENT_ID}_after"].to_numpy())
    kept = both[USER_ID].n_unique() / len(before) if len(before) else None
    return {"churn": moved, "kept": kept}
