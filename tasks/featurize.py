"""featurize: one feature family, fitted over all users and applied to every bucket."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import Fitted
from schemas.config import Section, kind_of
from schemas.runs import Slice
from tasks._progress import metered
from tasks.stores.book import Day
from tasks.vectors.features import fit_family


@task(name="featurize", task_run_name="featurize {config.kind} {part.share}", cache_policy=NO_CACHE)
def featurize(day: Day, part: Slice, config: Section) -> Fitted:
    """Fits one family on a slice of everyone's history."""
    key = f"featurize-{kind_of(config)}".replace("_", "-")
    with metered(key, f"featurize {kind_of(config)} of the first {part.share:.0%} of everyone's history") as meter:
        return fit_family(part.tables, config, day.context, day.settings.execution, meter)
