"""What must hold for assignments: one honest row per user."""

from typing import TYPE_CHECKING

from expectations._rules import Rule, against_previous, build, contract, none_with
from schemas.config import ValidateConfig
from schemas.facts import ROWS, Facts
from schemas.tables import ASSIGNMENTS, CONFIDENCE, DISTANCE, SECOND_SEGMENT_ID, SEGMENT_ID, STATUS

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of assignments; a segment id stands exactly where the status says assigned, and it is known.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    rules = [
        *contract(ASSIGNMENTS),
        Rule("min_rows", ROWS, "error", low=1),
        none_with(CONFIDENCE, "outside_unit"),
        none_with(DISTANCE, "negative"),
        none_with(STATUS, "unknown"),
        none_with(SEGMENT_ID, "contradicts_status"),
        none_with(SECOND_SEGMENT_ID, "same_as_first"),
        *against_previous(config, facts),
    ]
    if facts is not None and "segment_id.unlisted" in facts.counts:
        rules.append(none_with(SEGMENT_ID, "unlisted"))
    return build(ASSIGNMENTS.name, rules, config, facts)
