"""recommend: the best items for each segment and, if asked for, each user, published under the pointer."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from schemas.recommended import Lists, Recommended
from tasks.recommendations import lists
from tasks.recommendations import publish as publishing
from tasks.stores.book import Book, Day

recommend = task(name="recommend", cache_policy=NO_CACHE)(lists.recommended)


@task(name="publish", cache_policy=NO_CACHE)
def publish(day: Day, made: Lists) -> Recommended:
    """Publishes lists with the model that they were made by; says why there are fewer than were asked for."""
    told = publishing.publish(day, made)
    for why in told.why:
        get_run_logger().warning("%s: %s", day.name, why)
    return told


@task(name="recommend nothing", cache_policy=NO_CACHE)
def recommend_nothing(book: Book) -> Recommended:
    """Recommends nothing, and says why: a schedule that does so every night has not failed."""
    told = publishing.nothing(book)
    get_run_logger().warning("%s: %s", book.name, told.why[0])
    return told
