"""rollback: the previous champion is back in one step, with the tables that were published with it."""

from datetime import UTC, datetime

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from schemas.errors import UsageError
from schemas.runs import Decided
from tasks.serving.promoting import decided, mirror
from tasks.stores import pointer
from tasks.stores.ledger import Ledger


@task(name="roll back", cache_policy=NO_CACHE, tags=["io"])
def rollback(revision: int, author: str, reason: str, home: str, ledger: Ledger) -> Decided:
    """Moves the pointer back; MLflow's aliases follow, at the next start where MLflow is out of reach."""
    if not author.strip() or not reason.strip():
        raise UsageError("rollback: give the name of who decides (--author) and the reason (--reason)")
    moved = pointer.rollback(home, ledger.segmentation, revision, datetime.now(UTC), author, reason)
    try:
        mirror(moved, ledger)
        if moved.live is not None:
            ledger.version_tags(moved.live.model_version, {"fenqun.rolled_back_to": f"{author}: {reason}"})
    except Exception as error:  # the pointer is the truth; whatever ails MLflow must not undo a rollback
        get_run_logger().warning("rolled back; MLflow's aliases will follow at the next start (%s)", error)
    return decided(moved, ledger.segmentation, True)
