"""Rules as plain data, and the suite that Great Expectations runs from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from schemas.config import ValidateConfig
from schemas.facts import COPIED, DISTINCT, DUPLICATES, ROWS, Facts
from schemas.tables import ITEM_ID, RANK, SCORE, SEGMENT_ID, USER_ID, Table

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

Severity = Literal["error", "quarantine", "warn"]
_FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Rule:
    """One bound on one counted figure.

    Attributes:
        name: What configs and reports call it, without the table: `known_items`.
        fact: Name of the figure in `Facts.values()`.
        severity: What a failure does, unless the config says otherwise.
        low: Lowest legal value; None for no bound.
        high: Highest legal value; None for no bound.
        column: The column it speaks of; None for the table.
        counts: Whether the figure counts rows that break the rule, rather than measuring something.
    """

    name: str
    fact: str
    severity: Severity
    low: float | None = None
    high: float | None = None
    column: str | None = None
    counts: bool = False


def none_with(column: str, condition: str, severity: Severity = "error", name: str = "") -> Rule:
    """No row of `column` may meet `condition`."""
    return Rule(name or f"{column}.{condition}", f"{column}.{condition}", severity, high=0, column=column, counts=True)


def contract(table: Table) -> tuple[Rule, ...]:
    """What the contract itself asks: keys unique, required columns filled, numbers finite and within float32."""
    rules = [none_with(column.name, "nulls") for column in table.columns if not column.nullable]
    rules += [none_with(column.name, "empty") for column in table.columns if column.name.endswith("_id")]
    for column in table.columns:
        if column.dtype in _FLOATS:
            rules += [none_with(column.name, "nonfinite"), none_with(column.name, "overflow")]
    if table.key:
        rules.append(Rule("unique_key", DUPLICATES, "error", high=0, column=table.key[0], counts=True))
    return tuple(rules)


def ranked(table: Table, facts: Facts | None) -> tuple[Rule, ...]:
    """Lists of a table: there are some, ranks go from one without a gap, no item comes twice, and scores fall.

    Segments and items exist, where that was counted.
    """
    counted = set() if facts is None else facts.counts.keys()
    known = [none_with(column, "unlisted") for column in (SEGMENT_ID, ITEM_ID) if f"{column}.unlisted" in counted]
    return (
        *contract(table),
        Rule("min_rows", ROWS, "error", low=1),
        none_with(RANK, "nonpositive"),
        none_with(RANK, "beyond_list"),
        none_with(ITEM_ID, "repeated"),
        none_with(SCORE, "rises"),
        *known,
    )


def window(column: str) -> tuple[Rule, ...]:
    """Timestamps lie within the window around as_of that the config sets."""
    return none_with(column, "future", "quarantine"), none_with(column, "old", "quarantine")


def against_previous(config: ValidateConfig, facts: Facts | None) -> tuple[Rule, ...]:
    """Counts, means, shares and repeats stay near those of the previous accepted run; nothing where there was none."""
    if facts is None or facts.previous is None or facts.previous.rows == 0:
        return ()
    low, high = config.row_change
    rows = facts.previous.rows
    rules = [Rule("row_change", ROWS, "error", low * rows, high * rows)]
    if "mean_shift" in facts.numbers:
        rules.append(Rule("mean_shift", "mean_shift", "warn", high=config.max_mean_shift))
    if "share_shift" in facts.numbers:
        rules.append(Rule("share_shift", "share_shift", "warn", high=config.max_share_shift))
    was = facts.previous.numbers  # runs of earlier versions counted no repeats
    if DISTINCT in facts.numbers and DISTINCT in was:
        rules.append(Rule(DISTINCT, DISTINCT, "error", low=config.min_distinct * was[DISTINCT]))
    if COPIED in facts.numbers and COPIED in was:
        rules.append(Rule(COPIED, COPIED, "error", high=config.max_copied + was[COPIED]))
    return tuple(rules)


def known_users(config: ValidateConfig, facts: Facts | None) -> tuple[Rule, ...]:
    """Enough rows are of users that the table of users lists, where one is given: else ids are written in two ways."""
    if facts is None or "known_users" not in facts.numbers:
        return ()
    return (
        Rule("known_users", "known_users", "error", low=config.min_known_users, column=USER_ID),
        Rule("known_users_warn", "known_users", "warn", low=config.warn_known_users, column=USER_ID),
    )


def nobody(config: ValidateConfig, facts: Facts | None) -> tuple[Rule, ...]:
    """Few rows are of users such as `unknown`, under whom everybody may stand whom the source does not know."""
    if facts is None:
        return ()
    most = int(config.max_nobody_share * facts.rows)
    return (Rule("user_id.nobody", "user_id.nobody", "warn", high=most, column=USER_ID, counts=True),)


def _fit(column: str | None, facts: Facts) -> bool:
    return column is None or (column in facts.columns and column not in facts.unfit)


def build(table: str, rules: Iterable[Rule], config: ValidateConfig, facts: Facts | None) -> "ExpectationSuite":
    """A Great Expectations suite over the one-row frame of facts.

    A rule about a column that is missing or of another dtype is left out: the check of dtypes tells about those.
    Each expectation's meta holds rule, column, severity and whether it counts rows.
    """
    from great_expectations import ExpectationSuite
    from great_expectations.expectations import ExpectColumnMaxToBeBetween

    made = []
    for rule in rules:
        name = f"{table}.{rule.name}"
        severity = config.severity.get(name, rule.severity)
        if severity == "off" or (facts is not None and not _fit(rule.column, facts)):
            continue
        meta = {"rule": name, "column": rule.column, "severity": severity, "counts": rule.counts}
        made.append(ExpectColumnMaxToBeBetween(column=rule.fact, min_value=rule.low, max_value=rule.high, meta=meta))
    return ExpectationSuite(name=table, expectations=made)
