"""What must hold for transitions: each row tells of a move."""

from typing import TYPE_CHECKING

from expectations._rules import build, contract, none_with
from schemas.config import ValidateConfig
from schemas.facts import Facts
from schemas.tables import FROM_SEGMENT_ID, TO_SEGMENT_ID, TRANSITIONS

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of transitions.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    rules = [*contract(TRANSITIONS), none_with(FROM_SEGMENT_ID, "silent", "warn")]
    if facts is not None and "to_segment_id.unlisted" in facts.counts:
        rules.append(none_with(TO_SEGMENT_ID, "unlisted"))
    return build(TRANSITIONS.name, rules, config, facts)
