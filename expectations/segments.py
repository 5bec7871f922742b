"""What must hold for segments: named, none empty, shares that sum to at most one."""

from typing import TYPE_CHECKING

from expectations._rules import Rule, build, contract, none_with
from schemas.config import ValidateConfig
from schemas.facts import ROWS, Facts
from schemas.tables import NAME, SEGMENTS, SHARE, SIZE

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of segments.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    rules = [
        *contract(SEGMENTS),
        Rule("min_rows", ROWS, "error", low=1),
        none_with(SIZE, "nonpositive", name="no_empty_segment"),
        none_with(SHARE, "outside_unit"),
        Rule("shares", "share.total", "error", high=1 + 1e-6, column=SHARE),
        none_with(NAME, "empty"),
        none_with(NAME, "repeated", name="distinct_names"),
    ]
    if facts is not None and "size_mismatch" in facts.numbers:
        rules.append(Rule("sizes", "size_mismatch", "error", high=0, column=SIZE))
    return build(SEGMENTS.name, rules, config, facts)
