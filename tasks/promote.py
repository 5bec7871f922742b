"""promote: a version becomes live, its tables and its pointer together or not at all."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from schemas.reports import Verdict
from schemas.runs import Publication, Registered
from tasks.models import recalled
from tasks.registry import promotion
from tasks.stores.book import Day

recall = task(name="recall", cache_policy=NO_CACHE)(recalled.recall)


@task(name="promote", cache_policy=NO_CACHE)
def promote(day: Day, model: Registered, publication: Publication, verdict: Verdict) -> bool:
    """Publishes and promotes a candidate that passed every gate; a refused one changes nothing that readers see."""
    for gate in verdict.failures:
        get_run_logger().warning("refused by %s: %s (bound %s)", gate.name, gate.why, gate.bound)
    if verdict.promoted:
        author, _, reason = (verdict.override or f"{promotion.SCHEDULE}: {promotion.PASSED}").partition(": ")
        promotion.promote(day, model, publication, author, reason)
    return verdict.promoted
