"""Columns and dtypes against the contract. Great Expectations is loose about types, so these checks are ours."""

from typing import TYPE_CHECKING

from schemas.facts import Facts
from schemas.reports import RuleResult
from schemas.tables import Table

if TYPE_CHECKING:
    import polars as pl


def check(facts: Facts, table: Table) -> tuple[RuleResult, ...]:
    """Whether required columns are there, strange ones are not (in closed tables), and dtypes are the contract's.

    Args:
        facts: Columns and dtypes as counted.
        table: The contract.
    """
    missing = [name for name in table.required if name not in facts.columns]
    strange = [] if table.open else [name for name in facts.columns if name not in table.names]
    wanted = {name: _names(dtype) for name, dtype in table.polars_schema().items()}
    wrong = [n for n, dtype in facts.columns.items() if n in wanted and dtype.split("(")[0] not in wanted[n]]
    wrong += [n for n, dtype in facts.columns.items() if n in wanted and n not in wrong and not _exact(dtype, table, n)]
    return (
        _result(table, "columns", "error", missing, "missing", f"columns {', '.join(table.required)}"),
        _result(table, "no_strange_columns", "warn", strange, "not in the contract", "the columns of the contract"),
        _result(table, "dtypes", "error", wrong, "of another dtype", "the dtypes of the contract"),
    )


def _names(dtype: "pl.DataType | type[pl.DataType]") -> set[str]:
    """Names of the dtypes that may stand for one: a category is as good as a string."""
    name = str(dtype).split("(")[0]
    return {name, "Categorical", "Enum"} if name == "String" else {name}


def _exact(dtype: str, table: Table, name: str) -> bool:
    wanted = str(table.polars_schema()[name])
    return "(" not in wanted or dtype == wanted


def _result(table: Table, rule: str, severity: str, names: list[str], word: str, bound: str) -> RuleResult:
    observed = f"{', '.join(names)}: {word}" if names else "as asked"
    return RuleResult(
        rule=f"{table.name}.{rule}", table=table.name, severity=severity, passed=not names,  # type: ignore[arg-type]
        checked=len(table.columns), failed=len(names), observed=observed, bound=bound,
    )  # fmt: skip
