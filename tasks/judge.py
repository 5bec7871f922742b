"""judge: every gate between the candidate and the champion's place; refusal is the default."""

from datetime import UTC, datetime

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from schemas.gates import GateInput
from schemas.reports import Verdict
from schemas.runs import Registered
from tasks.registry.promotion import tag_verdict
from tasks.segments.gates import override as overridden
from tasks.segments.gates import verdict
from tasks.stores.book import Day


@task(name="judge", cache_policy=NO_CACHE)
def judge(day: Day, model: Registered, candidate: GateInput, override: tuple[str, str] | None = None) -> Verdict:
    """Asks every gate and writes the outcome to the model version, the run and Prefect."""
    found = verdict(candidate, day.settings.gates, decided_at=datetime.now(UTC))
    if override is not None and not found.promoted:
        found = overridden(found, *override)
    # Prefect shows Markdown, in which a cell that begins with ">" is a quotation.
    rows = [{**gate.model_dump(), "bound": gate.bound.replace(">=", "≥").replace(">", "&gt;")} for gate in found.gates]
    create_table_artifact(rows, key="gates", description=f"Gates of promotion: {found.counted}")
    tag_verdict(found, model.version, day.ledger, day.context.run_id)
    return found
