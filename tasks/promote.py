"""promote: a version becomes live, its tables and its pointer together or not at all."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import ArtifactRef, RunContext
from schemas.reports import SegmentProfile, Verdict
from schemas.runs import Registered, Standing
from tasks.serving import promoting
from tasks.stores.ledger import Ledger


@task(name="promote", cache_policy=NO_CACHE, tags=["io"])
def promote(
    model: Registered,
    verdict: Verdict,
    profiles: tuple[SegmentProfile, ...],
    standing: Standing | None,
    quarantine: ArtifactRef,
    revision: int,
    run: RunContext,
    ledger: Ledger,
) -> bool:
    """Publishes and promotes a candidate that passed every gate; a refused one changes nothing that readers see."""
    for gate in verdict.failures:
        get_run_logger().warning("refused by %s: %s (bound %s)", gate.name, gate.why, gate.bound)
    if verdict.promoted:
        promoting.promote(model, profiles, standing, quarantine, revision, run, ledger)
    return verdict.promoted
