"""What the flows share: opening and closing a run, and the stretch from tables to vectors."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from prefect import get_run_logger
from prefect.runtime import flow_run

from flows.config import RetrainConfig
from schemas.artifacts import RunContext
from schemas.runs import Candidate, Landed, Vectors
from tasks.embed import embed
from tasks.featurize import featurize
from tasks.represent import represent
from tasks.selection.space import expand
from tasks.serving.fitting import usable
from tasks.stores.artifacts import code_version
from tasks.stores.home import home
from tasks.stores.ledger import Ledger


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


def vectors(config: RetrainConfig, landed: Landed, run: RunContext, high: float) -> Vectors:
    """From tables to user vectors, fitted on the first `high` share of everyone's history."""
    families, off = usable(config.features, landed.tables)
    for family, why in off.items():
        get_run_logger().info("%s is switched off: %s", family, why)
    fitted = [featurize.submit(landed.tables, family, run, high, config.execution) for family in families]
    texts = config.texts and embed(landed.tables, config.texts, config.encoder, run, high, config.execution)
    blocks = [future.result() for future in fitted]
    return represent(families, blocks, texts, config.represent, config.ingest, run, high, config.execution)


def candidates(config: RetrainConfig) -> list[Candidate]:
    """Every combination of the search space."""
    found = expand(config.search.candidates, config.search.mode, config.search.limit, config.seed)
    return [Candidate(name=name, algorithm=algorithm.model_dump(mode="json")) for name, algorithm in found]
