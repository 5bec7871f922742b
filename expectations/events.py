"""What must hold for events: ids, times, allowed events, known items."""

from typing import TYPE_CHECKING

from expectations._rules import Rule, against_previous, build, contract, known_users, nobody, none_with, window
from schemas.config import ValidateConfig
from schemas.facts import ROWS, Facts
from schemas.tables import EVENT, EVENTS, ITEM_ID, TIMESTAMP

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of events.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    rules = [
        *contract(EVENTS),
        *window(TIMESTAMP),
        Rule("min_rows", ROWS, "error", low=config.min_rows),
        *against_previous(config, facts),
        *known_users(config, facts),
        *nobody(config, facts),
    ]
    if config.allowed_events is not None:
        rules.append(none_with(EVENT, "unknown", "quarantine", name="allowed_events"))
    if facts is not None and "known_items" in facts.numbers:
        rules.append(Rule("known_items", "known_items", "error", low=config.min_known_items, column=ITEM_ID))
    return build(EVENTS.name, rules, config, facts)
