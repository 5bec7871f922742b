"""retrain: from raw events to named, registered and, where they are better, live segments."""

from prefect import flow

from flows.config import RetrainConfig
from flows.steps import candidates, close, opened, vectors
from schemas.runs import Summary
from tasks.choose import choose
from tasks.cluster import cluster
from tasks.describe import describe
from tasks.evaluate import evaluate
from tasks.identify import identify
from tasks.ingest import ingest
from tasks.promote import judge
from tasks.prove import prove
from tasks.register import register
from tasks.serving.candidates import TEST, VALIDATION
from tasks.validate import validate


@flow(name="retrain", flow_run_name="retrain {config.segmentation}")
def retrain(config: RetrainConfig) -> Summary:
    """Retrains a segmentation.

    Args:
        config: Everything the run depends on; a form in the Prefect UI, a YAML file on the command line.
    """
    with opened(config) as (run, ledger):
        landed = ingest(config.source, config.ingest, config.as_of, run, config.execution)
        run = run.model_copy(update={"as_of": landed.as_of})
        validate("raw", landed.tables, config.validation, run, config.segmentation, landed.accounts)
        full, train, proof_slice = (vectors(config, landed, run, high) for high in (1.0, VALIDATION[0], TEST[0]))
        validate("features", full.made(), config.validation, run, config.segmentation)
        tried = [(candidate, cluster.submit(candidate, full, train, run)) for candidate in candidates(config)]
        reports = [
            evaluate.submit(fit, full, landed.tables, config.evaluate, config.select, run, ledger) for _, fit in tried
        ]
        choice = choose([report.result() for report in reports], config.select, run, ledger)
        chosen, fitted = next((one, fit.result()) for one, fit in tried if one.name == choice.chosen)
        proof = prove(chosen, proof_slice, landed.tables, config.evaluate, run)
        lineage = identify(fitted, full, config.identity, run, config.segmentation)
        profiles = describe(fitted, full, landed.tables, lineage, run, config.execution)
        model = register(
            fitted, full, profiles, lineage, landed.tables, config.calibration, run, config.execution, ledger
        )
        validate("published", {"assignments": model.assignments}, config.validation, run, config.segmentation)
        verdict = judge(model, choice, reports, proof, landed, config.gates, run, ledger)
        return close(config, run, ledger, landed, choice, reports, proof, lineage, profiles, model, verdict)
