"""Measures one candidate with every metric of `tasks/metrics`, and the churn that it would force on users."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from schemas.artifacts import State
from schemas.config import EvaluateConfig
from schemas.evaluation import EvaluationContext
from schemas.reports import Difference, EvaluationReport, Metric
from schemas.runs import Attempt, Slices, Standing, Unfit
from tasks.candidates.candidate import EXTRAS, FIT, LABELS, TRAINED, WARNINGS, refitter
from tasks.candidates.ground import ground
from tasks.candidates.heldout import VALIDATION, heldout
from tasks.candidates.lessons import truth_labels
from tasks.candidates.lineage import moved_share
from tasks.disk.artifacts import fingerprint, load_state, produce, save_state
from tasks.numerics.groups import partition
from tasks.numerics.paired import difference
from tasks.plugins.find import kinds, plugin
from tasks.selection.choose import CHURN, LIFT, refusals
from tasks.stores.book import Day
from tasks.vectors.features import matrix

REPORT = "report.json"
HITS = "hits"


def evaluate_candidate(
    day: Day, attempt: Attempt | Unfit, slices: Slices, standing: Standing | None
) -> EvaluationReport:
    """Runs every metric on one candidate; its held-out lift is on the validation slice.

    Args:
        day: The run.
        attempt: The fitted candidate; one that could not be fitted is refused and has no figures.
        slices: Today's vectors.
        standing: The champion on the same users, for churn; None: there is none.
    """
    candidate, settings, run = attempt.candidate, day.settings, day.context
    name, algorithm = candidate.name, candidate.algorithm
    bare = EvaluationReport(candidate=name, kind=algorithm["kind"], params=algorithm, metrics={}, warm=candidate.warm)
    if isinstance(attempt, Unfit):
        return bare.model_copy(update={"refused": (attempt.why,)})
    fixed = (settings.evaluate, settings.select, settings.identity, run.seed, run.code_version)
    digest = fingerprint("evaluation", attempt, standing, dict(day.tables), *fixed)

    def write(place: Path) -> dict[str, Any]:
        state = load_state(attempt.fitted)
        metrics, hits = _measure(day, attempt, slices, standing, state)
        told = {"warnings": tuple(state.meta[WARNINGS]), "partition": partition(state.arrays[LABELS])}
        report = bare.model_copy(update={"metrics": metrics, **told})
        report = report.model_copy(update={"refused": refusals(report, settings.select)})
        (place / REPORT).write_text(report.model_dump_json(), encoding="utf-8")
        save_state(place, State(hits))
        return {}

    ref = produce(run.home, "evaluation", digest, write)
    report = EvaluationReport.model_validate_json((Path(ref.path) / REPORT).read_text(encoding="utf-8"))
    return report.model_copy(update={"hits": ref})


def _measure(
    day: Day, attempt: Attempt, slices: Slices, standing: Standing | None, state: State
) -> tuple[dict[str, Metric], dict[str, np.ndarray]]:
    """All metrics of one candidate, by name, and every user's hits on the validation slice; `state` is the fit."""
    candidate, config, run = attempt.candidate, day.settings.evaluate, day.context
    users, X = matrix(attempt.vectors)
    here = ground(candidate, slices.all, standing, "all", day.settings.identity, run.seed)
    context = EvaluationContext(
        X=X,
        labels=state.arrays[LABELS],
        space=candidate.algorithm.get("space", "euclidean"),
        seed=run.seed,
        refit=refitter(candidate, here, users, X, run),
        heldout=heldout(day.tables, matrix(attempt.users)[0], VALIDATION, config.events) if config.lift else None,
        heldout_labels=load_state(attempt.trained).arrays[TRAINED],
        truth=truth_labels(day.tables, users, config.truth_column),
        fits=state.arrays.get(f"{EXTRAS}fits"),
    )
    found, hits = measure(context, config)
    told = {f"{FIT}.{name}": Metric.of(name, value, len(users)) for name, value in state.meta[FIT].items()}
    if standing is not None:
        found[CHURN] = moved_share(day, attempt, standing)
    if standing is not None and candidate.start == "kept":
        found |= {name: Metric.of(name, share, len(users)) for name, share in standing.basis.items()}
    return found | told, hits


def measure(context: EvaluationContext, config: EvaluateConfig) -> tuple[dict[str, Metric], dict[str, np.ndarray]]:
    """Every metric of the folder, by its stable name, and the hits behind held-out lift where it was measured."""
    from tasks.metrics.heldout_lift import measured, told

    found = [plugin("metrics", name).compute(context, config) for name in kinds("metrics") if name != LIFT]
    metrics = {metric.name: metric for metric in found}
    if not config.lift or context.heldout is None or context.heldout_labels is None:
        return metrics | {LIFT: plugin("metrics", LIFT).compute(context, config)}, {}
    lift = measured(context.heldout, context.heldout_labels, config, context.seed)
    rest = {"space": context.space, "seed": context.seed}
    metrics[LIFT] = told(lift, context.heldout_labels, config, **rest)
    return metrics, {HITS: lift.hits, "popular": lift.popular}


def comparison(day: Day, reports: Sequence[EvaluationReport]) -> Callable[[str, str], Difference | None]:
    """A function that tells how far one candidate's lift lies above another's, of the same users, with its interval."""
    refs = {report.candidate: report.hits for report in reports if report.hits is not None}

    def compare(best: str, other: str) -> Difference | None:
        ours, theirs = (load_state(refs[name]).arrays for name in (best, other))
        if HITS not in ours or HITS not in theirs or ours[HITS].shape[1] != theirs[HITS].shape[1]:
            return None
        rng = np.random.default_rng(day.context.seed)
        gap = difference(ours[HITS], theirs[HITS], day.settings.evaluate.bootstraps, rng)
        n = ours[HITS].shape[1]
        return gap and gap.scaled(max(float(ours["popular"].mean()), 1 / n))

    return compare


def summarise(reports: Sequence[EvaluationReport]) -> list[dict[str, Any]]:
    """One plain row per candidate, for tables in Prefect and the report."""
    names = ("silhouette.cosine", "wcss", "balance", "noise_share", "stability", "heldout_lift")
    return [
        {
            "candidate": report.candidate,
            **{name: report.value(name) for name in names},
            "refused": "; ".join(report.refused),
        }
        for report in reports
    ]
