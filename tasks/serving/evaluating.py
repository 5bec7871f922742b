"""Measures one candidate with every metric of `tasks/metrics`, and the churn that it would force on users."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.artifacts import RunContext
from schemas.config import EvaluateConfig, IdentityConfig, SelectConfig
from schemas.evaluation import EvaluationContext
from schemas.reports import EvaluationReport, Metric
from schemas.runs import Attempt, Standing, Unfit
from tasks.selection.choose import CHURN, refusals
from tasks.serving.candidates import FIT, LABELS, TRAIN_LABELS, VALIDATION, WARNINGS, heldout, refitter, truth_labels
from tasks.serving.fitting import matrix
from tasks.serving.identifying import lineage_of
from tasks.serving.plugins import kinds, plugin
from tasks.stores.artifacts import fingerprint, load_state, produce
from tasks.stores.buckets import Refs

REPORT = "report.json"


def evaluate_candidate(
    attempt: Attempt | Unfit,
    standing: Standing | None,
    tables: Refs,
    config: EvaluateConfig,
    select: SelectConfig,
    identity: IdentityConfig,
    run: RunContext,
) -> EvaluationReport:
    """Runs every metric on one candidate; its held-out lift is on the validation slice.

    Args:
        attempt: The fitted candidate; one that could not be fitted is refused and has no figures.
        standing: The champion on the same users, for churn; None: there is none.
        tables: Input tables, for interactions and known labels.
        config: What to measure.
        select: When a candidate is refused.
        identity: When a cluster continues a segment.
        run: Gives the seed.
    """
    if isinstance(attempt, Unfit):
        kind, params = attempt.candidate.algorithm["kind"], attempt.candidate.algorithm
        return EvaluationReport(
            candidate=attempt.candidate.name, kind=kind, params=params, metrics={}, refused=(attempt.why,)
        )
    fixed = (config, select, identity, run.seed, run.code_version)
    digest = fingerprint("evaluation", attempt, standing, dict(tables), *fixed)

    def write(place: Path) -> dict[str, Any]:
        metrics = _measure(attempt, tables, config, run)
        if standing is not None:
            metrics[CHURN] = _churn(attempt, standing, identity)
        candidate = attempt.candidate
        report = EvaluationReport(
            candidate=candidate.name, kind=candidate.algorithm["kind"], params=candidate.algorithm, metrics=metrics,
            warm=candidate.warm, warnings=tuple(load_state(attempt.fitted).meta[WARNINGS]),
        )  # fmt: skip
        report = report.model_copy(update={"refused": refusals(report, select)})
        (place / REPORT).write_text(report.model_dump_json(), encoding="utf-8")
        return {}

    ref = produce(run.home, "evaluation", digest, write)
    return EvaluationReport.model_validate_json((Path(ref.path) / REPORT).read_text(encoding="utf-8"))


def _measure(attempt: Attempt, tables: Refs, config: EvaluateConfig, run: RunContext) -> dict[str, Metric]:
    """All metrics of one candidate, by name."""
    state = load_state(attempt.fitted)
    users, X = matrix(attempt.vectors)
    context = EvaluationContext(
        X=X,
        labels=state.arrays[LABELS],
        space=attempt.candidate.algorithm.get("space", "euclidean"),
        seed=run.seed,
        refit=refitter(attempt.candidate, users, X, tables, run),
        heldout=heldout(tables, users, *VALIDATION) if config.lift else None,
        heldout_labels=state.arrays[TRAIN_LABELS],
        truth=truth_labels(tables, users, config.truth_column),
    )
    told = {f"{FIT}.{name}": value for name, value in state.meta[FIT].items()}
    return measure(context, config) | {name: Metric.of(name, value, len(users)) for name, value in told.items()}


def _churn(attempt: Attempt, standing: Standing, identity: IdentityConfig) -> Metric:
    """Share of the users the champion assigns who would change segment, after matching the clusters."""
    moved = lineage_of(attempt.fitted, attempt.vectors, standing, identity).moved_share
    return Metric.of(CHURN, float("nan") if moved is None else moved, standing.assignments.rows)


def measure(context: EvaluationContext, config: EvaluateConfig) -> dict[str, Metric]:
    """Every metric of the folder, by its stable name."""
    found = [plugin("metrics", name).compute(context, config) for name in kinds("metrics")]
    return {metric.name: metric for metric in found}


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
