"""encode: what a user did, in order, as a vector, by an encoder that is trained on a slice of everyone's history."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifacts import Fitted
from schemas.config import Section, kind_of
from schemas.runs import Embedded, Slice
from tasks._progress import metered
from tasks.models.scored import champion
from tasks.sequences.fit import fit_behaviour, live_encoder
from tasks.stores.book import Day


@task(name="encode", task_run_name="encode {config.kind} {part.share}", cache_policy=NO_CACHE)
def encode(day: Day, part: Slice, config: Section, texts: Embedded | None) -> Fitted:
    """Trains an encoder of behaviour; one of everyone's whole history starts from the live model's."""
    whole = part.share >= 1  # of a cut history nothing live may be known: it has seen the rest
    live = live_encoder(champion(day.context.home, day.name), day.as_of, kind_of(config)) if whole else None
    what = f"train {kind_of(config)} on the first {part.share:.0%} of everyone's history"
    with metered(f"encode-{kind_of(config)}".replace("_", "-"), what, "events") as meter:
        return fit_behaviour(part.tables, config, texts, day.context, day.settings.execution, live, meter)
