"""What must hold for recommendations to users: the same as for those to segments, list by list."""

from typing import TYPE_CHECKING

from expectations._rules import build, none_with, ranked
from schemas.config import ValidateConfig
from schemas.facts import Facts
from schemas.tables import ITEM_ID, USER_RECOMMENDATIONS

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of recommendations to users.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    listed = set() if facts is None else facts.counts.keys()
    known = [none_with(ITEM_ID, "unlisted")] if f"{ITEM_ID}.unlisted" in listed else []
    return build(USER_RECOMMENDATIONS.name, [*ranked(USER_RECOMMENDATIONS), *known], config, facts)
