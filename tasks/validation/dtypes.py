"""Columns and dtypes against the contract. Great Expectations is loose about types, so these checks are ours."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from schemas.facts import COLUMNS, DTYPES, NO_STRANGE_COLUMNS, Facts
from schemas.reports import RuleResult
from schemas.tables import Table

if TYPE_CHECKING:
    import polars as pl


def unfit(table: Table, columns: "Mapping[str, pl.DataType]") -> tuple[str, ...]:
    """Columns whose dtype is not the contract's, sorted. A category is as good as a string."""
    import polars as pl

    wanted = table.polars_schema()
    texts = (pl.String, pl.Categorical, pl.Enum)
    return tuple(
        sorted(
            name
            for name, dtype in columns.items()
            if name in wanted and dtype != wanted[name] and not (wanted[name] == pl.String and dtype in texts)
        )
    )


def check(facts: Facts, table: Table) -> tuple[RuleResult, ...]:
    """Whether required columns are there, strange ones are not (in closed tables), and dtypes are the contract's.

    Args:
        facts: Columns and dtypes as counted.
        table: The contract.
    """
    missing = [name for name in table.required if name not in facts.columns]
    strange = [] if table.open else [name for name in facts.columns if name not in table.names]
    wrong = [f"{name} ({facts.columns[name]})" for name in facts.unfit]
    return (
        _result(table, COLUMNS, "error", missing, "missing", f"columns {', '.join(table.required)}"),
        _result(table, NO_STRANGE_COLUMNS, "warn", strange, "not in the contract", "the columns of the contract"),
        _result(table, DTYPES, "error", wrong, "of another dtype", "the dtypes of the contract"),
    )


def _result(table: Table, rule: str, severity: str, names: list[str], word: str, bound: str) -> RuleResult:
    observed = f"{', '.join(names)}: {word}" if names else "as asked"
    return RuleResult(
        rule=f"{table.name}.{rule}",
        table=table.name,
        severity=severity,
        passed=not names,
        checked=len(table.columns),
        failed=len(names),
        observed=observed,
        bound=bound,
    )
