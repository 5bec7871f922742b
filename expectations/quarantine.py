"""What must hold for the quarantine: what was set aside is explained and stays a small share."""

from typing import TYPE_CHECKING

from expectations._rules import Rule, build, contract
from schemas.config import ValidateConfig
from schemas.facts import Facts
from schemas.tables import QUARANTINE

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite(config: ValidateConfig, facts: Facts | None = None) -> "ExpectationSuite":
    """The suite of the quarantine; the shares per table come from the accounting of ingest.

    Args:
        config: Thresholds and severities.
        facts: What was counted, with `<table>.share` and `<table>.unbalanced` from the accounting.
    """
    rules = [*contract(QUARANTINE)]
    for name in () if facts is None else facts.numbers:
        if name.endswith(".share"):
            rules.append(Rule(f"{name}_error", name, "error", high=config.max_quarantined_share))
            rules.append(Rule(f"{name}_warn", name, "warn", high=config.warn_quarantined_share))
        elif name.endswith(".unbalanced"):
            rules.append(Rule(name, name, "error", high=0))
    return build(QUARANTINE.name, rules, config, facts)
