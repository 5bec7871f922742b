"""Held-out proof of the chosen candidate on the last slice of everyone's history, beside everything it must beat."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import EvaluateConfig
from schemas.evaluation import EvaluationContext, HeldOut
from schemas.reports import Metric
from schemas.runs import Candidate, Proof
from tasks.serving.candidates import TEST, algorithm, fit, heldout, truth_groups
from tasks.serving.fitting import matrix
from tasks.serving.plugins import plugin
from tasks.stores.artifacts import fingerprint, produce

if TYPE_CHECKING:
    import polars as pl


def prove(
    candidate: Candidate,
    train: ArtifactRef,
    tables: Mapping[str, ArtifactRef],
    config: EvaluateConfig,
    slices: tuple[str, ...],
    run: RunContext,
) -> Proof:
    """Refits the candidate on the first 80 % of everyone's history and measures it on the rest.

    Args:
        candidate: What was chosen; only its algorithm and parameters are used, so that nothing of the test slice is.
        train: User vectors made from the first 80 %.
        tables: Input tables.
        config: Of the held-out protocol.
        slices: Columns of users whose groups are measured by themselves.
        run: Gives the seed.
    """
    cold = candidate.model_copy(update={"warm": False, "name": ""})
    digest = fingerprint("proof", cold, train, dict(tables), config, slices, run.seed, run.code_version)

    def write(place: Path) -> dict[str, Any]:
        proof = _measure(candidate, train, tables, config, slices, run)
        (place / "proof.json").write_text(proof.model_dump_json(), encoding="utf-8")
        return {}

    ref = produce(run.home, "proof", digest, write)
    return Proof.model_validate_json((Path(ref.path) / "proof.json").read_text(encoding="utf-8"))


def _measure(
    candidate: Candidate,
    train: ArtifactRef,
    tables: Mapping[str, ArtifactRef],
    config: EvaluateConfig,
    slices: tuple[str, ...],
    run: RunContext,
) -> Proof:
    users, X = matrix(train)
    held = heldout(tables, users, *TEST) if config.lift else None
    labels = fit(algorithm(candidate), train, tables, run).labels
    context = EvaluationContext(
        X=X, labels=labels, space=candidate.algorithm.get("space", "euclidean"), seed=run.seed, heldout=held,
        heldout_labels=labels,
    )  # fmt: skip
    lift = plugin("metrics", "heldout_lift").compute(context, config)
    if held is None:
        return Proof(heldout=lift, wanted=config.lift)
    groups = {column: truth_groups(tables, users, column) for column in slices}
    return Proof(
        heldout=lift, one_to_one=_one_to_one(held, config, run.seed), slices=_by_group(held, labels, groups, config)
    )


def _by_group(
    held: HeldOut, labels: np.ndarray, groups: "Mapping[str, pl.Series]", config: EvaluateConfig
) -> dict[str, dict[str, tuple[int, float | None]]]:
    """Users and precision lift over popularity of each group; no lift where popularity hits nothing there."""
    from tasks.metrics._lift import clean, recommend

    train, test, k = clean(held.train), clean(held.test), int(labels.max()) + 1
    ours, popular = (
        recommend(train, test, one, k, config.top_n, config.prior_weight).hits
        for one in (labels, np.full_like(labels, -1))
    )
    found: dict[str, dict[str, tuple[int, float | None]]] = {}
    for column, values in groups.items():
        masks = {group: (values == group).fill_null(False).to_numpy() for group in values.drop_nulls().unique().sort()}
        found[column] = {
            group: (int(mask.sum()), float(ours[mask].sum() / popular[mask].sum() - 1) if popular[mask].sum() else None)
            for group, mask in masks.items()
        }
    return found


def _one_to_one(held: HeldOut, config: EvaluateConfig, seed: int) -> Metric:
    """Precision of 1:1 recommendation by ALS on the same slice; recall and coverage in the details."""
    from tasks.metrics._lift import clean, judged, rates

    als = plugin("recommenders", "als")
    train, test = clean(held.train), clean(held.test)
    n, own = train.shape[0], np.diff(test.indptr)
    fitted = als.fit(train, None, np.zeros(n, np.int32), als.Config(), np.random.default_rng(seed))
    outcome = judged(fitted.recommend(np.arange(n), config.top_n)[0], test)
    precision, recall = rates(outcome.hits, own, config.top_n)
    items = len(np.union1d(train.indices, test.indices))
    details = {"recall": recall, "coverage": outcome.recommended / max(items, 1)}
    return Metric.of("one_to_one", precision, n, seed=seed, details=details)
