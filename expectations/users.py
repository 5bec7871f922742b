"""What must hold for users: one row each, numeric attributes finite."""

from typing import TYPE_CHECKING

from expectations._rules import Rule, against_previous, build, contract
from schemas.config import ValidateConfig
from schemas.facts import Facts
from schemas.tables import USERS

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of users.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    rules = [
        *contract(USERS),
        Rule("attributes_finite", "attributes.nonfinite", "error", high=0, counts=True),
        Rule("attributes_empty", "attributes.empty_columns", "warn", high=0),
        *against_previous(config, facts),
    ]
    return build(USERS.name, rules, config, facts)
