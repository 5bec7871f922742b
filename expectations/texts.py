"""What must hold for texts: authors, times, something written."""

from typing import TYPE_CHECKING

from expectations._rules import Rule, against_previous, build, contract, known_users, nobody, none_with, window
from schemas.config import ValidateConfig
from schemas.facts import ROWS, Facts
from schemas.tables import EVENTS, TEXT, TEXTS, TIMESTAMP

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of texts; they must not be empty where there are no events to rely on.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    alone = facts is not None and EVENTS.name not in facts.tables
    rules = [
        *contract(TEXTS),
        *window(TIMESTAMP),
        none_with(TEXT, "blank", "warn"),
        Rule("min_rows", ROWS, "error" if alone else "warn", low=config.min_rows),
        *against_previous(config, facts),
        *known_users(config, facts),
        *nobody(config, facts),
    ]
    return build(TEXTS.name, rules, config, facts)
