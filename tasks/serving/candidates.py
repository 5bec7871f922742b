"""Fits one candidate on all data and on the train slice, and measures it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext, State
from schemas.config import EvaluateConfig, Section, SelectConfig
from schemas.evaluation import EvaluationContext, HeldOut
from schemas.reports import EvaluationReport, Metric
from schemas.runs import Candidate
from schemas.tables import EVENTS, ITEM_ID, USERS
from tasks.serving.fitting import matrix
from tasks.serving.plugins import kinds, plugin
from tasks.stores.artifacts import fingerprint, load_state, produce, save_state
from tasks.stores.buckets import Refs, read_frames

if TYPE_CHECKING:
    import polars as pl

VALIDATION, TEST = (0.7, 0.8), (0.8, 1.0)
"""Slices of everyone's history: candidates are chosen on the first and only reported and gated on the second."""
LABELS, TRAIN_LABELS, FITTED = "labels", "train_labels", "fitted."


def algorithm(candidate: Candidate) -> Section:
    """The candidate's clusterer config as its plugin's own class."""
    return plugin("clusterers", candidate.algorithm["kind"]).Config(**candidate.algorithm)


def fit_candidate(
    candidate: Candidate, full: ArtifactRef, train: ArtifactRef, run: RunContext, init: np.ndarray | None = None
) -> ArtifactRef:
    """Fits a candidate on all data (what may be registered) and on the train slice (what its lift is measured with).

    Args:
        candidate: Which algorithm, with which parameters.
        full: User vectors of all data.
        train: User vectors of the train slice.
        run: Gives the seed and the code version.
        init: Centroids to start from, for a warm candidate.
    """
    digest = fingerprint(
        "candidate", candidate, full, train, run.seed, run.code_version, None if init is None else init.tolist()
    )

    def write(place: Path) -> dict[str, Any]:
        config = algorithm(candidate)
        module = plugin("clusterers", candidate.algorithm["kind"])
        _, X = matrix(full)
        fitted = module.fit(X, config, np.random.default_rng(run.seed), init=init)
        sliced = module.fit(matrix(train)[1], config, np.random.default_rng(run.seed))
        arrays = {LABELS: fitted.labels, TRAIN_LABELS: sliced.labels}
        arrays |= {f"{FITTED}{name}": array for name, array in fitted.arrays().items()}
        save_state(place, State(arrays, {"candidate": candidate.model_dump(mode="json")}))
        return {"rows": len(X)}

    return produce(run.home, "candidate", digest, write)


def fitted_arrays(state: State) -> dict[str, np.ndarray]:
    """The clusterer's own arrays out of a candidate's state."""
    return {name.removeprefix(FITTED): array for name, array in state.arrays.items() if name.startswith(FITTED)}


def heldout(tables: Refs, users: "pl.Series", low: float, high: float) -> HeldOut | None:
    """Interactions before `low` and between `low` and `high` of everyone's history; None where there are no events."""
    import polars as pl

    from tasks.metrics._split import interactions, slice_events

    if EVENTS.name not in tables:
        return None
    frames = list(read_frames(tables[EVENTS.name]))
    before = pl.concat([slice_events(frame, 0.0, low) for frame in frames])
    after = pl.concat([slice_events(frame, low, high) for frame in frames])
    items = pl.concat([frame.get_column(ITEM_ID) for frame in frames]).unique().sort().to_list()
    ids = users.to_list()
    return HeldOut(interactions(before, ids, items), interactions(after, ids, items, binary=True))


def truth_labels(tables: Refs, users: "pl.Series", column: str | None) -> np.ndarray | None:
    """(n,) codes of a column of users; −1 where unknown; None where the column is not asked for or not there."""
    import polars as pl

    if column is None or USERS.name not in tables or column not in tables[USERS.name].columns:
        return None
    known = pl.concat([f.select(users.name, pl.col(column).cast(pl.String)) for f in read_frames(tables[USERS.name])])
    joined = pl.DataFrame({users.name: users}).join(known, on=users.name, how="left", maintain_order="left")
    return joined[column].rank("dense").cast(pl.Int32).fill_null(0).to_numpy() - 1


def evaluate_candidate(
    fitted: ArtifactRef,
    vectors: ArtifactRef,
    tables: Refs,
    config: EvaluateConfig,
    select: SelectConfig,
    run: RunContext,
) -> EvaluationReport:
    """Runs every metric of `tasks/metrics` on one candidate; its held-out lift is on the validation slice.

    Args:
        fitted: What `fit_candidate` made.
        vectors: The user vectors that it was fitted on.
        tables: Input tables, for interactions and known labels.
        config: What to measure.
        select: When a candidate is refused.
        run: Gives the seed.
    """
    from tasks.selection.choose import refusals

    digest = fingerprint("evaluation", fitted, vectors, dict(tables), config, select, run.seed, run.code_version)

    def write(place: Path) -> dict[str, Any]:
        report = _measure(fitted, vectors, tables, config, run)
        report = report.model_copy(update={"refused": refusals(report, select)})
        (place / "report.json").write_text(report.model_dump_json(), encoding="utf-8")
        return {}

    ref = produce(run.home, "evaluation", digest, write)
    return EvaluationReport.model_validate_json((Path(ref.path) / "report.json").read_text(encoding="utf-8"))


def _measure(
    fitted: ArtifactRef, vectors: ArtifactRef, tables: Refs, config: EvaluateConfig, run: RunContext
) -> EvaluationReport:
    """All metrics of one candidate, by name."""
    state = load_state(fitted)
    candidate = Candidate(**state.meta["candidate"])
    users, X = matrix(vectors)
    context = EvaluationContext(
        X=X,
        labels=state.arrays[LABELS],
        space=candidate.algorithm.get("space", "euclidean"),
        seed=run.seed,
        refit=refitter(candidate, X),
        heldout=heldout(tables, users, *VALIDATION),
        heldout_labels=state.arrays[TRAIN_LABELS],
        truth=truth_labels(tables, users, config.truth_column),
    )
    return EvaluationReport(
        candidate=candidate.name, kind=candidate.algorithm["kind"], params=candidate.algorithm,
        metrics=measure(context, config), warm=candidate.warm,
    )  # fmt: skip


def measure(context: EvaluationContext, config: EvaluateConfig) -> dict[str, Metric]:
    """Every metric of the folder, by its stable name."""
    found = [plugin("metrics", name).compute(context, config) for name in kinds("metrics")]
    return {metric.name: metric for metric in found}


def refitter(candidate: Candidate, X: np.ndarray) -> Any:
    """A function that refits the candidate on some rows with a seed and labels all rows."""
    module, config = plugin("clusterers", candidate.algorithm["kind"]), algorithm(candidate)

    def refit(rows: np.ndarray, seed: int) -> np.ndarray:
        return module.fit(X[rows], config, np.random.default_rng(seed)).assign(X).labels

    return refit


def summarise(reports: Sequence[EvaluationReport]) -> list[dict[str, Any]]:
    """One plain row per candidate, for tables in Prefect and the report."""
    names = ("silhouette", "wcss", "balance", "noise_share", "stability", "heldout_lift")
    return [
        {"candidate": report.candidate, **{name: report.value(name) for name in names}, "refused": "; ".join(report.refused)}
        for report in reports
    ]
