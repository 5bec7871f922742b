"""What the flows share: opening and closing a run, and the stretch from tables to vectors."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from prefect import get_run_logger
from prefect.runtime import flow_run

from flows.config import RetrainConfig
from schemas.artifacts import RunContext
from schemas.reports import Choice, EvaluationReport, SegmentProfile, Verdict
from schemas.runs import Candidate, Landed, Proof, Registered, Standing, Summary, Vectors
from tasks.embed import embed
from tasks.featurize import featurize
from tasks.represent import represent
from tasks.selection.space import expand
from tasks.serving.fitting import usable
from tasks.serving.revisiting import recipe, warm_candidate
from tasks.stores import pointer
from tasks.stores.artifacts import code_version
from tasks.stores.home import home
from tasks.stores.ledger import Ledger, flat_metrics


@contextmanager
def opened(config: RetrainConfig) -> Iterator[tuple[RunContext, Ledger]]:
    """A run in the ledger, closed as finished, or as failed where the block raises."""
    ledger = Ledger(config.ledger, home(), config.segmentation)
    tags = {"fenqun.flow": "retrain", "fenqun.prefect_run": str(flow_run.id or "")}
    name = f"retrain {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    with ledger.recorded(name, config.model_dump(mode="json"), tags) as run_id:
        now = config.as_of or datetime.now(UTC)
        run = RunContext(run_id=run_id, as_of=now, seed=config.seed, code_version=code_version(), home=home())
        yield run, ledger


def revision(config: RetrainConfig) -> int:
    """The pointer's revision now: a promotion that comes in between wins."""
    return pointer.read(home(), config.segmentation).revision


def vectors(config: RetrainConfig, landed: Landed, run: RunContext, high: float) -> Vectors:
    """From tables to user vectors, fitted on the first `high` share of everyone's history."""
    families, off = usable(config.features, landed.tables)
    for family, why in off.items():
        get_run_logger().info("%s is switched off: %s", family, why)
    fitted = [featurize.submit(landed.tables, family, run, high, config.execution) for family in families]
    texts = config.texts and embed(landed.tables, config.texts, config.encoder, run, high, config.execution)
    blocks = [future.result() for future in fitted]
    return represent(families, blocks, texts, config.represent, config.ingest, run, high, config.execution)


def champion_config(config: RetrainConfig, standing: Standing) -> RetrainConfig:
    """The config with the champion's own way of making vectors."""
    return config.model_copy(update=recipe(standing, home()))


def candidates(config: RetrainConfig, standing: Standing | None) -> list[Candidate]:
    """Every combination of the search space, and the one that starts from the champion."""
    found = expand(config.search.candidates, config.search.mode, config.search.limit, config.seed)
    fresh = [Candidate(name=one.name, algorithm=one.config.model_dump(mode="json")) for one in found]
    warm = standing and config.search.warm and warm_candidate(standing, config.identity, config.seed)
    return [*fresh, warm] if warm else fresh


def summary(
    config: RetrainConfig,
    run: RunContext,
    ledger: Ledger,
    choice: Choice,
    chosen: EvaluationReport,
    proof: Proof,
    profiles: tuple[SegmentProfile, ...],
    model: Registered,
    verdict: Verdict,
    page: str,
) -> Summary:
    """What the run tells at its end."""
    return Summary(
        segmentation=config.segmentation, run_id=run.run_id, experiment_id=ledger.experiment_id,
        prefect_run=str(flow_run.id or ""), model_version=model.version, new_version=model.new, chosen=choice.chosen,
        reason=choice.reason, promoted=verdict.promoted, gates=verdict.gates, profiles=profiles,
        metrics={**flat_metrics(chosen.metrics), **flat_metrics({"proof": proof.heldout})}, report=page,
    )  # fmt: skip
