"""Held-out proof of the chosen candidate on the last slice of everyone's history, beside everything it must beat."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import EvaluateConfig
from schemas.evaluation import EvaluationContext, HeldOut
from schemas.reports import Metric
from schemas.runs import Candidate, Proof
from tasks.serving.candidates import TEST, algorithm, heldout
from tasks.serving.fitting import matrix
from tasks.serving.plugins import plugin
from tasks.stores.artifacts import fingerprint, produce


def prove(
    candidate: Candidate, train: ArtifactRef, tables: Mapping[str, ArtifactRef], config: EvaluateConfig, run: RunContext
) -> Proof:
    """Refits the candidate on the first 80 % of everyone's history and measures it on the rest.

    Args:
        candidate: What was chosen; only its algorithm and parameters are used, so that nothing of the test slice is.
        train: User vectors made from the first 80 %.
        tables: Input tables.
        config: Of the held-out protocol.
        run: Gives the seed.
    """
    cold = candidate.model_copy(update={"warm": False, "name": ""})
    digest = fingerprint("proof", cold, train, dict(tables), config, run.seed, run.code_version)

    def write(place: Path) -> dict[str, Any]:
        proof = _measure(candidate, train, tables, config, run.seed)
        (place / "proof.json").write_text(proof.model_dump_json(), encoding="utf-8")
        return {}

    ref = produce(run.home, "proof", digest, write)
    return Proof.model_validate_json((Path(ref.path) / "proof.json").read_text(encoding="utf-8"))


def _measure(
    candidate: Candidate, train: ArtifactRef, tables: Mapping[str, ArtifactRef], config: EvaluateConfig, seed: int
) -> Proof:
    users, X = matrix(train)
    held = heldout(tables, users, *TEST)
    module = plugin("clusterers", candidate.algorithm["kind"])
    labels = module.fit(X, algorithm(candidate), np.random.default_rng(seed)).labels
    context = EvaluationContext(
        X=X, labels=labels, space=candidate.algorithm.get("space", "euclidean"), seed=seed, heldout=held,
        heldout_labels=labels,
    )  # fmt: skip
    lift = plugin("metrics", "heldout_lift").compute(context, config)
    return Proof(heldout=lift, one_to_one=None if held is None else _one_to_one(held, config, seed))


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
