"""Sets aside the rows that break a rule of severity quarantine."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from schemas import tables as t
from schemas.config import ValidateConfig
from tasks.validation.conditions import conditions

if TYPE_CHECKING:
    import polars as pl
    from great_expectations import ExpectationSuite


def set_aside(
    frame: "pl.DataFrame",
    table: t.Table,
    suite: "ExpectationSuite",
    config: ValidateConfig,
    as_of: datetime,
    run_id: str,
    known: "Mapping[str, pl.Series] | None" = None,
) -> "tuple[pl.DataFrame, pl.DataFrame]":
    """Splits a bucket into the rows that stay and the quarantine's rows for those that don't.

    A row that breaks several rules goes aside once, for the first of them in the suite's order.

    Args:
        frame: Rows of the table; where they have a sequence it is the locator, else the row number from 1.
        table: The table's contract.
        suite: The table's suite, which knows each rule's severity.
        config: Window and allowed events.
        as_of: UTC moment the run looks at.
        run_id: Id of the run, written beside each row set aside.
        known: Legal values by column name.

    Returns:
        The rows that stay, and rows of the quarantine table, without any value of the rows themselves.
    """
    import polars as pl

    tests = conditions(table, dict(frame.schema), config, as_of, known)
    rules = [(one.configuration.kwargs["column"], one.meta or {}) for one in suite.expectations]
    chosen = [
        (tests[fact], meta["column"], meta["rule"])
        for fact, meta in rules
        if meta["severity"] == "quarantine" and fact in tests
    ]
    broken = pl.lit(None, pl.Int32)
    for number, (test, _, _) in reversed(list(enumerate(chosen))):
        broken = pl.when(test.fill_null(False)).then(pl.lit(number, pl.Int32)).otherwise(broken)
    number = pl.col(t.SEQUENCE) if t.SEQUENCE in frame.columns else pl.int_range(1, pl.len() + 1)
    marked = frame.with_columns(number.alias("__number"), broken.alias("__rule"))
    kept = marked.filter(pl.col("__rule").is_null()).drop("__number", "__rule")
    bad = marked.filter(pl.col("__rule").is_not_null()).select("__number", "__rule").rows()
    aside = [(table.name, f"row {row}", chosen[rule][1], chosen[rule][2], run_id) for row, rule in bad]
    return kept, pl.DataFrame(aside, schema=t.QUARANTINE.polars_schema(), orient="row")
