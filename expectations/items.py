"""What must hold for items: one row each, titles or categories present."""

from typing import TYPE_CHECKING

from expectations._rules import Rule, against_previous, build, contract
from schemas.config import ValidateConfig
from schemas.facts import Facts
from schemas.tables import CATEGORIES, ITEMS, TITLE

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of items.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    rules = [
        *contract(ITEMS),
        Rule("attributes_finite", "attributes.nonfinite", "error", high=0, counts=True),
        Rule("described", "undescribed", "warn", high=0.5, column=TITLE),
        *against_previous(config, facts),
    ]
    described = facts is None or {TITLE, CATEGORIES} & set(facts.columns)
    return build(ITEMS.name, rules if described else [r for r in rules if r.name != "described"], config, facts)
