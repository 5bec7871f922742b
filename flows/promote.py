"""promote: a registered version, refused or of another day, judged on today's data and made live."""

from prefect import flow

from flows.steps import opened, proof_again, recorded_config, revision
from schemas.config import LedgerConfig
from schemas.runs import Decided
from tasks.ingest import ingest
from tasks.judge import judge
from tasks.measure import measure_again
from tasks.promote import promote as make_live
from tasks.promote import recall
from tasks.revisit import revisit
from tasks.serving.promoting import override_of, standing_now
from tasks.validate import validate


@flow(name="promote", flow_run_name="promote {segmentation} version {version}")
def promote(
    segmentation: str, version: str, author: str = "", reason: str = "", ledger: LedgerConfig | None = None
) -> Decided:
    """Judges a registered version beside the champion on today's data and makes it live where every gate passes.

    Args:
        segmentation: Name of the segmentation.
        version: Number of the registered model version.
        author: Who overrides the gates, if they refuse; needs a reason. Both are recorded.
        reason: Why the gates are overridden.
        ledger: Where MLflow is; none: SQLite under the state folder.
    """
    override = override_of(author, reason)
    c = recorded_config(segmentation, version, ledger or LedgerConfig())
    with opened(c, "promote") as (run, books):
        started = revision(segmentation)
        landed = ingest(c.source, c.ingest, c.as_of, run, c.execution, c.validation, segmentation)
        run = run.model_copy(update={"as_of": landed.as_of})
        raw = validate("raw", landed.everything(), c.validation, run, segmentation, landed.accounts)
        champion = revisit(segmentation, landed.tables, run, c.execution)
        recalled = recall(version, landed, run, c.execution, books)
        published = {"assignments": recalled.model.assignments}
        checks = (raw, validate("published", published, c.validation, run, segmentation))
        settings = (landed, checks, c.evaluate, c.gates, run)
        ours = measure_again(recalled.standing, champion, proof_again(c, recalled.standing, landed, run), *settings)
        theirs = measure_again(champion, None, proof_again(c, champion, landed, run), *settings) if champion else None
        verdict = judge(recalled.model, ours, theirs, c.gates, run, books, override)
        done = make_live(recalled.model, verdict, recalled.profiles, landed.quarantine, started, run, books)
        return standing_now(run.home, segmentation, done, verdict)
