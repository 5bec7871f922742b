"""promote: a version becomes live, its tables and its pointer together or not at all."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ExecutionConfig
from schemas.reports import SegmentProfile, Verdict
from schemas.runs import Landed, Recalled, Registered
from tasks.serving import promoting, recalling
from tasks.stores.ledger import Ledger


@task(name="promote", cache_policy=NO_CACHE)
def promote(
    model: Registered,
    verdict: Verdict,
    profiles: tuple[SegmentProfile, ...],
    quarantine: ArtifactRef,
    revision: int,
    run: RunContext,
    ledger: Ledger,
) -> bool:
    """Publishes and promotes a candidate that passed every gate; a refused one changes nothing that readers see."""
    for gate in verdict.failures:
        get_run_logger().warning("refused by %s: %s (bound %s)", gate.name, gate.why, gate.bound)
    if verdict.promoted:
        author, _, reason = (verdict.override or f"{promoting.SCHEDULE}: {promoting.PASSED}").partition(": ")
        promoting.promote(model, profiles, quarantine, revision, run, ledger, author, reason)
    return verdict.promoted


@task(name="recall", cache_policy=NO_CACHE)
def recall(version: str, landed: Landed, run: RunContext, execution: ExecutionConfig, ledger: Ledger) -> Recalled:
    """Fetches a registered version by our own code, checked, and puts it on today's data."""
    return recalling.recall(version, landed.tables, run, execution, ledger)
