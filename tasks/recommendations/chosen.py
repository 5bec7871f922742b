"""Who chose what up to today, and the published segment of each: what recommendations are learned and told from."""

from collections.abc import Sequence

from schemas.artifacts import ArtifactRef
from schemas.errors import DataError
from schemas.interactions import Chosen
from schemas.tables import EVENT, EVENTS, ITEM_ID, TIMESTAMP, USER_ID
from tasks.candidates.heldout import choosable
from tasks.models.told import labels_of
from tasks.stores.book import Day
from tasks.stores.buckets import bucket_file, count, parallel, read_bucket
from tasks.validation.choices import check_choices

_READ = [USER_ID, ITEM_ID, EVENT, TIMESTAMP]


def chosen_today(day: Day, assignments: ArtifactRef, ids: Sequence[str]) -> Chosen:
    """Choices of all of today's users.

    Args:
        day: The run; `evaluate.events` says which events are choices.
        assignments: As readers have them.
        ids: Of the published segments, in the order that labels count them.

    Raises:
        DataError: there are none.
        UsageError: evaluate.events names what is not there.
    """
    import polars as pl

    from tasks.numerics.history import MICROSECONDS_PER_DAY, physical, population
    from tasks.numerics.interactions import cells, chosen, interactions_of

    names, nothing = day.settings.evaluate.events, f"{day.name}: there is nothing to recommend"
    if EVENTS.name not in day.tables:
        raise DataError(f"{nothing}: the source gives no events; add a table of events to it")
    check_choices(day.tables, names)
    items = choosable(day.tables[EVENTS.name], names)
    if items.is_empty():
        raise DataError(
            f"{nothing}: nobody chose an item up to {day.as_of:%Y-%m-%d %H:%M}; look at the source's events"
        )
    buckets, execution = range(count(day.tables)), day.settings.execution
    own = parallel(lambda number: population(read_bucket(day.tables, number), day.as_of), buckets, execution)
    users = pl.concat(own)

    def histories(number: int) -> pl.DataFrame:
        events = pl.read_parquet(bucket_file(day.tables[EVENTS.name], number), columns=_READ)
        return cells(chosen(events, names), users, items)

    moment = physical(pl.Series([day.as_of]))[0] / MICROSECONDS_PER_DAY
    found = interactions_of(parallel(histories, buckets, execution), len(users), len(items), moment)
    return Chosen(users, items, found, labels_of(assignments, ids, users))
