"""judge: every gate between the candidate and the champion's place; refusal is the default."""

from datetime import UTC, datetime

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import RunContext
from schemas.config import GateConfig
from schemas.reports import Verdict
from schemas.runs import Registered
from tasks.segments._measured import GateInput
from tasks.segments.gates import override as overridden
from tasks.segments.gates import verdict
from tasks.serving.promoting import tag_verdict
from tasks.stores.ledger import Ledger


@task(name="judge", cache_policy=NO_CACHE)
def judge(
    model: Registered,
    candidate: GateInput,
    champion: GateInput | None,
    policy: GateConfig,
    run: RunContext,
    ledger: Ledger,
    override: tuple[str, str] | None = None,
) -> Verdict:
    """Asks every gate and writes the outcome to the model version, the run and Prefect."""
    found = verdict(candidate, champion, policy, decided_at=datetime.now(UTC))
    if override is not None and not found.promoted:
        found = overridden(found, *override)
    # Prefect shows Markdown, in which a cell that begins with ">" is a quotation.
    rows = [{**gate.model_dump(), "bound": gate.bound.replace(">=", "≥").replace(">", "&gt;")} for gate in found.gates]
    create_table_artifact(rows, key="gates", description="Gates of promotion")
    tag_verdict(found, model.version, ledger, run.run_id)
    return found
