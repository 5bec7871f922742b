"""assign: today's users through the champion, published in one step."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.runs import Scored, Served
from tasks.models import scored
from tasks.registry import promotion
from tasks.stores.book import Day

assign = task(name="assign", cache_policy=NO_CACHE)(scored.score)


@task(name="publish", cache_policy=NO_CACHE)
def publish(day: Day, scored: Scored) -> Served:
    """Publishes assignments and transitions; readers see all of it or nothing."""
    moved, changed = promotion.refresh(day, scored)
    day.ledger.metrics(day.context.run_id, {"users": scored.assignments.rows, "moved": changed})
    return Served(
        segmentation=day.name,
        run_id=day.context.run_id,
        model_version=scored.model_version,
        users=scored.assignments.rows,
        moved=changed,
        revision=moved.revision,
    )
