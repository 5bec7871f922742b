"""cut: the tables as their users were known with the first part of their history."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.runs import Slice
from tasks.stores.book import Day
from tasks.vectors import slices


@task(name="cut", task_run_name="cut {share}", cache_policy=NO_CACHE)
def cut(day: Day, share: float) -> Slice:
    """Cuts every table at one moment of each user's own; a share of 1 leaves them as they are."""
    tables = slices.cut(day.tables, share, day.context, day.settings.execution)
    return Slice(share=share, as_of=day.as_of, tables=dict(tables))
