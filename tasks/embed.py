"""embed: what a user wrote and consumed, as one vector; each distinct text is encoded once, ever."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from schemas.config import Section, TextsConfig
from schemas.runs import Embedded, Slice
from tasks._progress import metered
from tasks.stores.book import Day
from tasks.vectors.texts import Heard, embed_users


@task(name="embed", task_run_name="embed {encoder.kind} {part.share}", cache_policy=NO_CACHE)
def embed(day: Day, part: Slice, texts: TextsConfig, encoder: Section) -> Embedded:
    """Encodes what is not in the cache yet and averages every user's texts."""
    what, execution = f"texts of the first {part.share:.0%} of everyone's history", day.settings.execution
    with (
        metered("tune", f"tune the language model on {what}", "batches") as tuning,
        metered("encode", f"encode {what}", "texts") as encoding,
        metered(None, f"pool {what}") as pooling,
    ):
        heard = Heard(tuning, encoding, pooling)
        made = embed_users(part.tables, texts, encoder, day.context, execution, heard)
    if made.tuning is not None:
        get_run_logger().info("%s: the language model is %s", what, made.tuning.why)
    return made
