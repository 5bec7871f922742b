"""ingest: source rows into contract tables, bucketed by user, every row accounted for."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.errors import FenqunError
from tasks.ingestion.land import land
from tasks.stores.book import Book, Day, day


def passing(task: Any, run: Any, state: Any) -> bool:
    """Whether a failure may be gone at the next try: bad data and configs stay as they are."""
    return not isinstance(state.result(raise_on_failure=False), FenqunError)


@task(name="ingest", retries=2, retry_delay_seconds=5, retry_condition_fn=passing, cache_policy=NO_CACHE)
def ingest(book: Book) -> Day:
    """Reads what is new in the source, sets bad rows aside and leaves the rest in buckets of users."""
    c = book.settings
    return day(book, land(c.source, c.ingest, c.as_of, book.context, c.execution, c.validation, c.segmentation))
