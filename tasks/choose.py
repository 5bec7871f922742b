"""choose: one candidate by one documented rule, with its reasons."""

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import RunContext
from schemas.config import SelectConfig
from schemas.reports import Choice, EvaluationReport
from tasks.selection.choose import choose as by_rule
from tasks.serving.evaluating import summarise
from tasks.stores.ledger import Ledger


@task(name="choose", cache_policy=NO_CACHE)
def choose(reports: Sequence[EvaluationReport], config: SelectConfig, run: RunContext, ledger: Ledger) -> Choice:
    """Chooses a candidate and writes the reasons to the run."""
    create_table_artifact(summarise(reports), key="candidates", description="Every candidate's figures")
    choice = by_rule(reports, config)
    ledger.tags(run.run_id, {"fenqun.chosen": choice.chosen, "fenqun.reason": choice.reason})
    return choice
