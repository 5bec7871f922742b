"""retrain: from raw events to named, registered and, where they are better, live segments."""

from prefect import flow

from flows.config import RetrainConfig
from flows.steps import candidates, champion_config, opened, revision, summary, vectors
from schemas.runs import Candidate, Summary
from tasks.choose import choose
from tasks.cluster import cluster
from tasks.describe import describe
from tasks.evaluate import evaluate
from tasks.identify import identify
from tasks.ingest import ingest
from tasks.judge import judge
from tasks.measure import measure_candidate, measure_champion
from tasks.promote import promote
from tasks.prove import prove
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
        started = revision(c)
        landed = ingest(c.source, c.ingest, c.as_of, run, c.execution)
        run = run.model_copy(update={"as_of": landed.as_of})
        raw = validate("raw", landed.tables, c.validation, run, name, landed.accounts)
        full, train, proving = (vectors(c, landed, run, high) for high in (1.0, VALIDATION[0], TEST[0]))
        made = validate("features", full.tables(), c.validation, run, name)
        standing = revisit(name, landed.tables, run, c.execution)
        attempts = [cluster.submit(one, full, train, standing, c.identity, run) for one in candidates(c, standing)]
        settings = (c.evaluate, c.select, c.identity, run, ledger)
        futures = [evaluate.submit(attempt, standing, landed.tables, *settings) for attempt in attempts]
        reports = {found.candidate: found for found in (future.result() for future in futures)}
        choice = choose(list(reports.values()), c.select, run, ledger)
        best, found = (
            next(a for a in (f.result() for f in attempts) if a.candidate.name == choice.chosen),
            reports[choice.chosen],
        )
        proof = prove(best.candidate, proving, landed.tables, c.evaluate, c.gates.slices, run)
        lineage = identify(best, standing, c.identity)
        profiles = describe(best, full, landed.tables, lineage, standing, found, c.execution)
        model = register(
            best, full, standing, profiles, lineage, landed.tables, c.calibration, run, c.execution, ledger
        )
        published = validate("published", {"assignments": model.assignments}, c.validation, run, name)
        ours = measure_candidate(model, found, proof, full, standing, landed, c.gates, run)
        theirs = standing and measure_champion(
            standing,
            best,
            prove(
                Candidate(name="champion", algorithm=standing.algorithm),
                vectors(champion_config(c, standing), landed, run, TEST[0]),
                landed.tables,
                c.evaluate,
                c.gates.slices,
                run,
            ),
            landed,
            c.evaluate,
            c.gates,
            run,
        )
        verdict = judge(model, ours, theirs, c.gates, run, ledger)
        page = report(
            name,
            best,
            landed,
            list(reports.values()),
            choice,
            proof,
            lineage,
            profiles,
            model,
            verdict,
            (raw, made, published),
            run,
            ledger,
        )
        promote(model, verdict, profiles, standing, landed.quarantine, started, run, ledger)
        return summary(c, run, ledger, choice, found, proof, profiles, model, verdict, page)
