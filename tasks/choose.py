"""choose: one candidate by one documented rule, with its reasons."""

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from schemas.reports import Choice, EvaluationReport
from tasks.candidates.figures import comparison, summarise
from tasks.reporting.compared import by_k
from tasks.selection.choose import choose as by_rule
from tasks.stores.book import Day


@task(name="choose", cache_policy=NO_CACHE)
def choose(day: Day, reports: Sequence[EvaluationReport]) -> Choice:
    """Chooses a candidate and writes the reasons to the run."""
    day.ledger.curves(day.context.run_id, by_k(reports), day.context.now)
    create_table_artifact(summarise(reports), key="candidates", description="Every candidate's figures")
    choice = by_rule(reports, day.settings.select, comparison(day, reports))
    day.ledger.chosen(day.context.run_id, choice)
    return choice
