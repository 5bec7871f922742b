"""assign: today's users through the champion; nothing is fitted."""

from prefect import flow

from flows.config import RetrainConfig
from flows.naming import called
from flows.steps import opened
from schemas.runs import Served
from tasks.assign import assign as score
from tasks.assign import publish
from tasks.ingest import ingest
from tasks.validate import validate


@flow(name="assign", flow_run_name=called("assign {config.segmentation}"))
def assign(config: RetrainConfig, only_touched: bool = False) -> Served:
    """Assigns users with the live model and publishes their assignments and transitions in one step.

    Args:
        config: The segmentation's config, as for retrain; what only concerns fitting is not used.
        only_touched: Score only users of whom something else is known than at the last assignment, be it late or taken
            back; the others keep their rows.
    """
    with opened(config, "assign") as book:
        day = ingest(book)
        validate(day, "raw", day.landed.everything())
        scored = score(day, only_touched)
        validate(day, "published", {"assignments": scored.assignments})
        return publish(day, scored)
