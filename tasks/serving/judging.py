"""Gathers what the gates look at: candidate and champion, both measured on today's data."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import EvaluateConfig, GateConfig
from schemas.evaluation import EvaluationContext
from schemas.reports import EvaluationReport, Metric, ValidationReport
from schemas.runs import Attempt, Candidate, Landed, Proof, Registered, Standing, Vectors
from schemas.tables import EVENTS, SEGMENT_ID, TEXTS, TIMESTAMP, USER_ID
from tasks.segments import _format
from tasks.segments import bundle as bundles
from tasks.segments._measured import LIFT, SILHOUETTE, STABILITY, GateInput, SliceFigures
from tasks.segments.bundle import Bundle
from tasks.segments.identity import churn
from tasks.serving.assigning import cached_lookup
from tasks.serving.candidates import refitter, truth_groups
from tasks.serving.fitting import matrix
from tasks.serving.keeping import BUNDLE
from tasks.serving.plugins import plugin
from tasks.serving.revisiting import champion_labels
from tasks.stores.artifacts import fingerprint
from tasks.stores.buckets import Refs, read_frames

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

PUBLISHED = "published"


def candidate_input(
    model: Registered,
    report: EvaluationReport,
    proof: Proof,
    vectors: Vectors,
    standing: Standing | None,
    landed: Landed,
    checks: tuple[ValidationReport, ...],
    policy: GateConfig,
    run: RunContext,
) -> GateInput:
    """The candidate as the gates see it.

    Args:
        model: The registered version.
        report: Its metrics on all data.
        proof: Its held-out figures.
        vectors: How fresh vectors were made; their columns are held against the bundle's.
        standing: The champion on the same data, for churn.
        landed: The data.
        checks: What the expectations found at every hand-over.
        policy: Which groups are declared.
        run: Gives as_of.
    """
    bundle = bundles.load(f"{model.bundle.path}/{BUNDLE}", model.sha256)
    facts = _assigned(model.assignments, bundle.manifest.ids, landed.tables, proof, policy)
    metrics = {**report.metrics, LIFT: proof.heldout}
    moved = None if standing is None else _churn(standing, model.assignments)
    return GateInput(
        **_data(landed, run, checks), **facts, metrics=metrics, required=required(landed.tables, proof),
        features_sha256=_kept_order(standing, run) if report.warm and standing else columns_sha256(vectors),
        expected_features_sha256=bundle.manifest.feature_sha256, leaked=leaked(bundle, model.assignments, landed, run),
        previous_users=None if standing is None else standing.users, churn=moved,
    )  # fmt: skip


def champion_input(
    standing: Standing,
    attempt: Attempt,
    proof: Proof,
    landed: Landed,
    config: EvaluateConfig,
    policy: GateConfig,
    run: RunContext,
) -> GateInput:
    """The champion as the gates see it, measured anew: its segments on today's users, in the candidate's space.

    Args:
        standing: The champion on today's data.
        attempt: The candidate, whose vectors give the space that both are compared in.
        proof: Held-out figures of the champion's recipe on the same slices.
        landed: The data.
        config: Of the metrics.
        policy: Which groups are declared.
        run: Gives as_of and the seed.
    """
    return GateInput(
        **_data(landed, run, ()), **_measured(standing, attempt.vectors, proof, landed, config, policy, run),
        features_sha256=None, expected_features_sha256=None, leaked=None,
    )  # fmt: skip


def again_input(
    candidate: Standing,
    champion: Standing | None,
    proof: Proof,
    landed: Landed,
    checks: tuple[ValidationReport, ...],
    config: EvaluateConfig,
    policy: GateConfig,
    run: RunContext,
) -> GateInput:
    """A version of another day as the gates see it, measured anew on today's data.

    Args:
        candidate: The version on today's data.
        champion: What is live, on the same data; None: nothing is.
        proof: Held-out figures of the version's recipe.
        landed: The data.
        checks: What the expectations found at every hand-over.
        config: Of the metrics.
        policy: Which groups are declared.
        run: Gives as_of and the seed.
    """
    bundle = bundles.load(Path(run.home) / candidate.bundle / BUNDLE)
    order = bundle.manifest.feature_sha256  # the Segmenter refuses to assign in another order
    return GateInput(
        **_data(landed, run, checks), **_measured(candidate, candidate.vectors, proof, landed, config, policy, run),
        features_sha256=order, expected_features_sha256=order,
        leaked=leaked(bundle, candidate.assignments, landed, run),
        previous_users=None if champion is None else champion.users,
        churn=None if champion is None else _churn(champion, candidate.assignments),
    )  # fmt: skip


def _measured(
    standing: Standing, vectors: ArtifactRef, proof: Proof, landed: Landed, config: EvaluateConfig,
    policy: GateConfig, run: RunContext,
) -> dict[str, object]:  # fmt: skip
    """Metrics of a model's segments of today's users, in the space of `vectors`, and counts of its assignments."""
    users, X = matrix(vectors)
    known, labels = champion_labels(standing)
    if not known.equals(users, check_names=False):
        labels = in_order_of(users, known, labels)
    model = Candidate(name=f"version {standing.version}", algorithm=standing.algorithm)
    context = EvaluationContext(
        X=X, labels=labels, space=standing.algorithm.get("space", "euclidean"), seed=run.seed,
        refit=refitter(model, users, X, landed.tables, run),
    )  # fmt: skip
    metrics = {name: plugin("metrics", name).compute(context, config) for name in (SILHOUETTE, STABILITY)}
    facts = _assigned(standing.assignments, standing.ids, landed.tables, proof, policy)
    return {**facts, "metrics": {**metrics, LIFT: proof.heldout}, "required": required(landed.tables, proof)}


def in_order_of(users: "pl.Series", known: "pl.Series", labels: np.ndarray) -> np.ndarray:
    """Labels of `known` in the order of `users`; −1 for a user that is not known."""
    at = dict(zip(known.to_list(), labels.tolist(), strict=True))
    return np.array([at.get(user, -1) for user in users.to_list()], np.int32)


def required(tables: Refs, proof: Proof) -> tuple[str, ...]:
    """Metrics that may not be missing; held-out lift only where it was wanted and there are events to hold out."""
    return (SILHOUETTE, STABILITY, LIFT) if EVENTS.name in tables and proof.wanted else (SILHOUETTE, STABILITY)


def _data(landed: Landed, run: RunContext, checks: tuple[ValidationReport, ...]) -> dict[str, object]:
    """The data, its age, and whether every hand-over kept its expectations; None for one that was not checked."""
    return {
        "data": fingerprint(landed.tables), "as_of": run.as_of, "newest_event": newest(landed.tables),
        "validated": _kept([check for check in checks if check.stage != PUBLISHED]),
        "published": _kept([check for check in checks if check.stage == PUBLISHED]),
    }  # fmt: skip


def _kept(checks: list[ValidationReport]) -> bool | None:
    return all(check.passed for check in checks) if checks else None


def newest(tables: Refs) -> "datetime | None":
    """Timestamp of the newest event or text."""
    found: list[Any] = [
        frame[TIMESTAMP].max()
        for name in (EVENTS.name, TEXTS.name)
        if name in tables
        for frame in read_frames(tables[name])
        if len(frame)
    ]
    return max(found, default=None)


def _assigned(
    assignments: ArtifactRef, ids: tuple[str, ...], tables: Refs, proof: Proof, policy: GateConfig
) -> dict[str, object]:
    """Counts over a table of assignments."""
    import polars as pl

    frame = pl.concat([part.select(USER_ID, SEGMENT_ID) for part in read_frames(assignments)])
    sizes = dict(frame[SEGMENT_ID].drop_nulls().value_counts().iter_rows())
    return {
        "users": frame[USER_ID].n_unique(), "rows": len(frame), "distinct": frame[USER_ID].n_unique(),
        "unassigned": frame[SEGMENT_ID].null_count(), "sizes": {name: sizes.get(name, 0) for name in ids},
        "slices": {column: _slices(frame, tables, column, proof) for column in policy.slices},
    }  # fmt: skip


def _slices(frame: "pl.DataFrame", tables: Refs, column: str, proof: Proof) -> dict[str, SliceFigures]:
    """Unassigned share and lift of each group of a column of users."""
    groups = truth_groups(tables, frame[USER_ID], column)
    missing = frame[SEGMENT_ID].is_null()
    lifts = proof.slices.get(column, {})
    found = {}
    for group in groups.drop_nulls().unique().sort():
        mask = (groups == group).fill_null(False)
        n = int(mask.sum())
        lift = lifts.get(group, (0, None))[1]
        found[str(group)] = SliceFigures(n=n, unassigned=float(missing.filter(mask).sum()) / n, lift=lift)
    return found


def columns_sha256(vectors: Vectors) -> str:
    """Hash of the columns that fresh vectors were really made from, in order."""
    named = [f"{kind}.{column}" for kind, made in vectors.features.items() for column in made.output.columns[1:]]
    width = 0 if vectors.texts is None else vectors.texts.encoder["dimension"]
    return _format.sha256(_format.encode_json([*named, *(f"text.{i}" for i in range(width))]))


def _kept_order(champion: Standing, run: RunContext) -> str:
    """Hash of the columns of the champion, whose vectors a warm candidate was fitted on."""
    return bundles.load(Path(run.home) / champion.bundle / BUNDLE).manifest.feature_sha256


def _churn(standing: Standing, assignments: ArtifactRef) -> Metric:
    """Share of the users whom the champion assigns who would change segment."""
    import polars as pl

    before, after = (
        pl.concat([part.select(USER_ID, SEGMENT_ID) for part in read_frames(ref)])
        for ref in (standing.assignments, assignments)
    )
    both = before.join(after, on=USER_ID, suffix="_after")
    return churn(both[SEGMENT_ID].to_numpy(), both[f"{SEGMENT_ID}_after"].to_numpy())


def leaked(bundle: Bundle, assignments: ArtifactRef, landed: Landed, run: RunContext) -> int:
    """Users of the first bucket whose assignment changes when everything after as_of is taken away."""
    import polars as pl

    from tasks.serving.compose import segmenter
    from tasks.stores.buckets import read_bucket

    bucket = {
        name: frame.filter(pl.col(TIMESTAMP) <= run.as_of) if name in (EVENTS.name, TEXTS.name) else frame
        for name, frame in read_bucket(landed.tables, 0).items()
    }
    ready = segmenter(bundle, lookup=cached_lookup(bundle, run.home))
    again = ready.assign(bucket, run.as_of, "").select(USER_ID, SEGMENT_ID)
    stored = next(read_frames(assignments)).select(USER_ID, SEGMENT_ID)
    both = stored.join(again, on=USER_ID, how="full", suffix="_again", coalesce=True)
    return int(np.count_nonzero(both[SEGMENT_ID].ne_missing(both[f"{SEGMENT_ID}_again"]).to_numpy()))
