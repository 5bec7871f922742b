"""What must hold for recommendations to users: the same as for those to segments, list by list."""

from typing import TYPE_CHECKING

from expectations._rules import build, ranked
from schemas.config import ValidateConfig
from schemas.facts import Facts
from schemas.tables import USER_RECOMMENDATIONS

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of recommendations to users.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    return build(USER_RECOMMENDATIONS.name, ranked(USER_RECOMMENDATIONS, facts), config, facts)
