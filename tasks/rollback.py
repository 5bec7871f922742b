"""rollback: the previous champion is back in one step, with the tables that were published with it."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from schemas.runs import Decided
from tasks.registry.promotion import roll_back
from tasks.stores.ledger import Ledger


@task(name="roll back", cache_policy=NO_CACHE)
def rollback(revision: int, author: str, reason: str, home: str, ledger: Ledger) -> Decided:
    """Moves the pointer back; MLflow's aliases follow, at the next start where MLflow is out of reach."""
    told = roll_back(revision, author, reason, home, ledger)
    if told.behind:
        get_run_logger().warning("rolled back; MLflow's aliases will follow at the next run (%s)", told.behind)
    return told
