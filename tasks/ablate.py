"""ablate: each feature family's share of the vectors' variance, and what it adds to held-out lift."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.runs import Candidate, Slices
from tasks.candidates.ablation import contributions, shares
from tasks.stores.book import Day


@task(name="ablate", cache_policy=NO_CACHE)
def ablate(day: Day, candidate: Candidate, slices: Slices) -> dict[str, float]:
    """Logs `share.<family>` and, where asked for, `ablation.<family>`."""
    found = {f"share.{block}": share for block, share in shares(slices.all).items()}
    if day.settings.evaluate.ablation:
        added = contributions(day, candidate, slices.proving)
        found |= {f"ablation.{block}": value for block, value in added.items()}
    day.ledger.metrics(day.context.run_id, found)
    return found
