"""What must hold for user_vectors: one finite vector of one length per user."""

from typing import TYPE_CHECKING

from expectations._rules import Rule, against_previous, build, contract, none_with
from schemas.config import ValidateConfig
from schemas.facts import ROWS, Facts
from schemas.tables import USER_VECTORS, VECTOR

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of user_vectors.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    rules = [
        *contract(USER_VECTORS),
        Rule("min_rows", ROWS, "error", low=1),
        Rule("one_length", "vector.lengths", "error", high=1, column=VECTOR),
        none_with(VECTOR, "nonfinite"),
        none_with(VECTOR, "huge"),
        none_with(VECTOR, "zero", "warn"),
        *against_previous(config, facts),
    ]
    return build(USER_VECTORS.name, rules, config, facts)
