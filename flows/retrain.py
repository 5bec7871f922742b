"""retrain: from raw events to named, registered and, where they are better, live segments."""

from prefect import flow

from flows.config import RetrainConfig
from flows.steps import champion_input, compete, opened, revision, summary, vectors
from schemas.runs import Summary
from tasks.ablate import ablate
from tasks.describe import describe
from tasks.identify import identify
from tasks.ingest import ingest
from tasks.judge import judge
from tasks.measure import measure_candidate
from tasks.promote import promote
from tasks.prove import prove
from tasks.record import record
from tasks.register import register
from tasks.report import report
from tasks.revisit import revisit
from tasks.serving.candidates import TEST, VALIDATION
from tasks.validate import validate


@flow(name="retrain", flow_run_name="retrain {config.segmentation}")
def retrain(config: RetrainConfig) -> Summary:
    """Retrains a segmentation.

    Args:
        config: Everything the run depends on; a form in the Prefect UI, a YAML file on the command line.
    """
    c, name = config, config.segmentation
    with opened(c) as (run, ledger):
        started = revision(name)
        landed = ingest(c.source, c.ingest, c.as_of, run, c.execution, c.validation, name)
        run = run.model_copy(update={"as_of": landed.as_of})
        tables = landed.tables
        raw = validate("raw", landed.everything(), c.validation, run, name, landed.accounts)
        full, train, last = (vectors(c, landed, run, high) for high in (1.0, VALIDATION[0], TEST[0]))
        made = validate("features", full.tables(), c.validation, run, name)
        standing = revisit(name, tables, run, c.execution)
        contest = compete(c, landed, full, train, standing, run, ledger)
        best = contest.best
        proof = prove(best.candidate, last, tables, c.evaluate, c.gates.slices, run)
        ablate(best.candidate, full, last, proof, tables, c.evaluate, c.ingest, run, c.execution, ledger)
        lineage = identify(best, standing, c.identity)
        profiles = describe(best, full, tables, lineage, standing, contest.report, c.describe, c.execution)
        model = register(best, full, standing, profiles, lineage, tables, c.calibration, run, c.execution, ledger)
        published = validate("published", {"assignments": model.assignments}, c.validation, run, name)
        record(c.model_dump(mode="json"), landed, full, profiles, run, ledger)
        checks = (raw, made, published)
        ours = measure_candidate(model, contest.report, proof, full, standing, landed, checks, c.gates, run)
        verdict = judge(model, ours, champion_input(c, standing, best, landed, run), c.gates, run, ledger)
        promote(model, verdict, profiles, landed.quarantine, started, run, ledger)
        told = (landed, contest, proof, lineage, profiles, model, verdict, checks)
        page = report(name, *told, run, ledger)
        return summary(c, run, ledger, full, contest, proof, profiles, model, verdict, page)
