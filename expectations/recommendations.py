"""What must hold for recommendations: ranks from one, scores that fall, items that exist."""

from typing import TYPE_CHECKING

from expectations._rules import build, ranked
from schemas.config import ValidateConfig
from schemas.facts import Facts
from schemas.tables import RECOMMENDATIONS

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of recommendations.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with the previous run's facts; None: the rules that need no history.
    """
    return build(RECOMMENDATIONS.name, ranked(RECOMMENDATIONS, facts), config, facts)
