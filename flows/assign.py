"""assign: today's users through the champion; nothing is fitted."""

from prefect import flow

from flows.config import RetrainConfig
from flows.steps import opened, revision
from schemas.runs import Served
from tasks.assign import assign as score
from tasks.assign import publish
from tasks.ingest import ingest
from tasks.validate import validate


@flow(name="assign", flow_run_name="assign {config.segmentation}")
def assign(config: RetrainConfig, only_touched: bool = False) -> Served:
    """Assigns users with the live model and publishes their assignments and transitions in one step.

    Args:
        config: The segmentation's config, as for retrain; what only concerns fitting is not used.
        only_touched: Score only users with an event or text since the last assignment; the others keep their rows.
    """
    c, name = config, config.segmentation
    with opened(c, "assign") as (run, ledger):
        started = revision(name)
        landed = ingest(c.source, c.ingest, c.as_of, run, c.execution, c.validation, name)
        run = run.model_copy(update={"as_of": landed.as_of})
        validate("raw", landed.everything(), c.validation, run, name, landed.accounts)
        scored = score(name, landed.tables, only_touched, run, c.execution)
        validate("published", {"assignments": scored.assignments}, c.validation, run, name)
        return publish(scored, landed.quarantine, started, run, ledger)
