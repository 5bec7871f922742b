"""retrain: from raw events to named, registered and, where they are better, live segments."""

from prefect import flow

from flows.config import RetrainConfig
from flows.naming import called
from flows.steps import beside, compete, opened, proof_again, slices_of, summary
from schemas.runs import Outcome, Summary
from tasks.ablate import ablate
from tasks.build import build
from tasks.describe import describe
from tasks.identify import identify
from tasks.ingest import ingest
from tasks.judge import judge
from tasks.measure import measure
from tasks.promote import promote
from tasks.prove import prove
from tasks.record import record
from tasks.register import draft, register
from tasks.report import report
from tasks.revisit import revisit
from tasks.validate import validate


@flow(name="retrain", flow_run_name=called("retrain {config.segmentation}"))
def retrain(config: RetrainConfig) -> Summary:
    """Retrains a segmentation and makes the model live if it is better.

    Args:
        config: Everything the run depends on; a form in the Prefect UI, a YAML file on the command line.
    """
    with opened(config) as book:
        day = ingest(book)  # the tables as of a moment
        raw = validate(day, "raw", day.landed.everything())
        slices = slices_of(day)  # vectors of all, of the first 70 % and of the first 80 % of everyone's history
        made = validate(day, "features", slices.all.made())
        champion = revisit(day, slices)  # what readers have, and the live model on today's data
        contest = compete(day, slices, champion)  # every candidate, and the one chosen
        best = contest.best
        proof = prove(day, best.candidate, slices.proving, champion)
        ablate(day, best.candidate, slices)
        built = build(day, best, slices, champion)  # the model that would go live
        lineage = identify(day, best, built, champion)
        segments = describe(day, built, lineage, slices.all, champion)
        model = register(day, built, lineage, segments, champion)
        record(day, slices.all, segments)
        tables = draft(day, model, segments, champion)  # what readers would see
        ready = validate(day, "published", tables.tables(), stops=False)
        outcome = Outcome(
            slices=slices,
            champion=champion,
            contest=contest,
            proof=proof,
            lineage=lineage,
            profiles=segments,
            model=model,
            publication=tables,
            checks=(raw, made, ready),
        )
        theirs = proof_again(day, champion)
        outcome = beside(day, outcome, theirs)  # other ways to recommend, on the same events
        judged = measure(day, outcome, theirs)
        verdict = judge(day, model, judged)
        promote(day, model, tables, verdict)
        return summary(day, outcome, judged, verdict, report(day, outcome, judged, verdict))
