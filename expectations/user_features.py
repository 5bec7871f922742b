"""What must hold for user_features: one finite row per user."""

from typing import TYPE_CHECKING

from expectations._rules import Rule, against_previous, build, contract
from schemas.config import ValidateConfig
from schemas.facts import ROWS, Facts
from schemas.tables import USER_FEATURES

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of user_features.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    rules = [
        *contract(USER_FEATURES),
        Rule("min_rows", ROWS, "error", low=1),
        Rule("finite", "attributes.nonfinite", "error", high=0, counts=True),
        Rule("empty_columns", "attributes.empty_columns", "warn", high=0),
        Rule("constant_columns", "attributes.constant_columns", "warn", high=0),
        *against_previous(config, facts),
    ]
    return build(USER_FEATURES.name, rules, config, facts)
