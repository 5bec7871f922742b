"""promote: a registered version, refused or of another day, judged on today's data and made live."""

from prefect import flow

from flows.naming import called
from flows.steps import opened, proof_again, recorded_config
from schemas.config import LedgerConfig
from schemas.runs import Decided
from tasks.ingest import ingest
from tasks.judge import judge
from tasks.measure import measure_again
from tasks.promote import promote as make_live
from tasks.promote import recall
from tasks.register import draft
from tasks.registry.promotion import override_of, standing_now
from tasks.revisit import revisit
from tasks.validate import validate


@flow(name="promote", flow_run_name=called("promote {segmentation} version {version}"))
def promote(
    segmentation: str, version: str, author: str = "", reason: str = "", ledger: LedgerConfig | None = None
) -> Decided:
    """Judges a registered version on today's data and makes it live where every gate passes.

    Args:
        segmentation: Name of the segmentation.
        version: Number of the registered model version.
        author: Who decides; with a reason it is made live although gates refuse. Both are recorded.
        reason: Why it is made live although gates refuse.
        ledger: Where MLflow is; none: SQLite under the state folder.
    """
    override = override_of(author, reason)
    with opened(recorded_config(segmentation, version, ledger or LedgerConfig()), "promote") as book:
        day = ingest(book)
        validate(day, "raw", day.landed.everything())
        champion = revisit(day)
        recalled = recall(day, version)
        tables = draft(day, recalled.model, recalled.profiles, champion)
        ready = validate(day, "published", tables.tables(), stops=False)
        proofs = (proof_again(day, recalled.standing), proof_again(day, champion))
        judged = measure_again(day, recalled, (tables, ready), champion, proofs)
        verdict = judge(day, recalled.model, judged, override)
        done = make_live(day, recalled.model, tables, verdict)
        return standing_now(day.context.home, segmentation, done, verdict)
