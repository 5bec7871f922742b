"""What must hold for edges: both ends named, weights above zero."""

from typing import TYPE_CHECKING

from expectations._rules import against_previous, build, contract, none_with, window
from schemas.config import ValidateConfig
from schemas.facts import Facts
from schemas.tables import DST, EDGES, SRC, TIMESTAMP, WEIGHT

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of edges.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    rules = [
        *contract(EDGES),
        *window(TIMESTAMP),
        none_with(SRC, "empty"),
        none_with(DST, "empty"),
        none_with(WEIGHT, "nonpositive"),
        none_with(DST, "loops", "warn"),
        *against_previous(config, facts),
    ]
    return build(EDGES.name, rules, config, facts)
