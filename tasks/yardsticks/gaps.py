"""What the gates look at of the ways to recommend: coverage beside chance, and the champion's recipe as of one date."""

from collections.abc import Sequence

from schemas.gates import BY_DATE, OVER_CHANCE
from schemas.reports import Difference
from schemas.yardsticks import Yardsticks

NOT_BESIDE = "no recommender was measured beside it in this run"


def gaps(told: Sequence[Yardsticks], champion: bool) -> dict[str, Difference | str | None]:
    """Differences by the names of the gates; a text says why there is nothing to compare.

    Args:
        told: What was measured, by protocol.
        champion: Whether something is live: a table by date then has to hold its recipe too.
    """
    by = {one.protocol: one for one in told}
    user, date = by.get("user"), by.get("date")
    found: dict[str, Difference | str | None] = {OVER_CHANCE: NOT_BESIDE if user is None else user.over_chance()}
    if champion:
        found[BY_DATE] = NOT_BESIDE if date is None else date.champion
    return found
