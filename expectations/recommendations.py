"""What must hold for recommendations: ranks from one, scores that fall, items that exist."""

from typing import TYPE_CHECKING

from expectations._rules import build, contract, none_with
from schemas.config import ValidateConfig
from schemas.facts import Facts
from schemas.tables import ITEM_ID, RANK, RECOMMENDATIONS, SCORE, SEGMENT_ID

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of recommendations.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    rules = [
        *contract(RECOMMENDATIONS),
        none_with(RANK, "nonpositive"),
        none_with(RANK, "beyond_list"),
        none_with(ITEM_ID, "repeated"),
        none_with(SCORE, "rises"),
    ]
    listed = set() if facts is None else facts.counts.keys()
    rules += [none_with(column, "unlisted") for column in (SEGMENT_ID, ITEM_ID) if f"{column}.unlisted" in listed]
    return build(RECOMMENDATIONS.name, rules, config, facts)
