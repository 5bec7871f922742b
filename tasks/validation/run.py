"""Runs suites for real and reads what came out. Offending values are never kept."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from schemas.config import ValidateConfig
from schemas.facts import ROWS, Facts
from schemas.reports import Accounting, RuleResult, ValidationReport
from tasks.validation.docs import docs, site
from tasks.validation.dtypes import check
from tasks.validation.scan import TABLES, scan

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from great_expectations import ExpectationSuite
    from great_expectations.data_context import EphemeralDataContext

_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}
"""Counts and observed figures, but no list of offending values."""


class Stage(NamedTuple):
    """A hand-over.

    Attributes:
        name: raw, features or published.
        accounting: Rows of each table as ingest counted them; judged with the quarantine.
    """

    name: str
    accounting: tuple[Accounting, ...] = ()


RAW = Stage("raw")


def validate(
    tables: "Mapping[str, Iterable[pl.DataFrame]]",
    suites: "Mapping[str, Callable[[ValidateConfig, Facts | None], ExpectationSuite]]",
    config: ValidateConfig,
    as_of: datetime,
    previous: Mapping[str, Any] | None = None,
    docs_folder: Path | None = None,
    stage: Stage = RAW,
) -> tuple[ValidationReport, dict[str, Any]]:
    """Checks a hand-over of tables.

    Args:
        tables: Table name -> frames; rows with equal keys stand in one frame, as they do in buckets.
        suites: Table name -> function that makes its suite from the config and the facts.
        config: Thresholds and severities.
        as_of: UTC moment the run looks at.
        previous: What this function returned second in the previous accepted run; None: there was none.
        docs_folder: Where the Data Docs are built; None: they are not.
        stage: Which hand-over it is, with the rows that ingest counted.

    Returns:
        The report, and JSON-ready facts to hand to the next run once this one is accepted.
    """
    before = {name: Facts.model_validate(facts) for name, facts in (previous or {}).items()}
    facts = scan(tables, config, as_of, before, stage.accounting)
    context = ephemeral_context(docs_folder)
    results: list[RuleResult] = []
    for name, found in facts.items():
        results += [_overridden(result, config) for result in check(found, TABLES[name]) if _on(result, config)]
        if name in suites:
            results += run(suites[name](config, found), to_frame(found), stage.name, name, context, found.first)
    page = None if docs_folder is None else str(docs(context, Path(docs_folder), results))
    kept = {name: found.model_copy(update={"previous": None}).model_dump(mode="json") for name, found in facts.items()}
    return ValidationReport(stage=stage.name, results=tuple(results), docs=page), kept


def ephemeral_context(docs_folder: Path | None = None) -> "EphemeralDataContext":
    """A Great Expectations context in memory, without telemetry; with a Data Docs site where a folder is given."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read when the library is imported
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    if docs_folder is not None:
        name, settings = site(Path(docs_folder))
        context.add_data_docs_site(name, cast(Any, settings))
    return context


def to_frame(facts: Facts) -> "pd.DataFrame":
    """Facts as the frame of one row that a suite looks at."""
    import pandas as pd

    return pd.DataFrame([facts.values()])


def run(
    suite: "ExpectationSuite",
    frame: "pd.DataFrame",
    stage: str,
    table: str,
    context: "EphemeralDataContext | None" = None,
    locators: Mapping[str, str] | None = None,
) -> tuple[RuleResult, ...]:
    """Runs one suite on one frame, which may be a frame of facts or rows.

    Args:
        suite: Expectations whose meta hold rule, column, severity and whether the observed value counts rows.
        frame: What they look at.
        stage: raw, features or published; part of the names in the Data Docs.
        table: The table's name.
        context: Where results are stored for the Data Docs; None: a fresh one.
        locators: Where a row stands that breaks a condition, or which columns a figure speaks of, by fact.
    """
    from great_expectations import ValidationDefinition

    context = context or ephemeral_context()
    name = f"{stage}.{table}"
    suite.name = name
    source = context.data_sources.add_or_update_pandas(stage)
    batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
    definition = ValidationDefinition(name=name, data=batch, suite=context.suites.add(suite))
    outcome = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": frame}, result_format=_FORMAT
    )
    rows = int(frame[ROWS].iloc[0]) if ROWS in frame.columns and len(frame) == 1 else len(frame)
    order = {(expectation.meta or {})["rule"]: i for i, expectation in enumerate(suite.expectations)}
    results = [_read(one.to_json_dict(), table, rows, locators or {}) for one in outcome.results]
    return tuple(sorted(results, key=lambda result: order[result.rule]))


def _read(outcome: dict[str, Any], table: str, rows: int, locators: Mapping[str, str]) -> RuleResult:
    """One expectation's outcome; a rule that raised is broken and says so, whatever its severity."""
    meta, bounds = outcome["expectation_config"]["meta"], outcome["expectation_config"]["kwargs"]
    common = {"rule": meta["rule"], "table": table, "column": meta.get("column"), "bound": _bound(bounds)}
    raised = _raised(outcome.get("exception_info") or {})
    if raised:
        words = f"the rule itself is broken ({raised}); this says nothing about the data"
        return RuleResult(**common, severity="error", passed=False, checked=0, failed=0, observed=words)
    result, passed = outcome["result"], bool(outcome["success"])
    common |= {"severity": meta.get("severity", "error"), "passed": passed}
    if "unexpected_count" in result:
        failed, checked = int(result["unexpected_count"]), int(result["element_count"])
        return RuleResult(**common, checked=checked, failed=failed, observed=f"{failed} of {checked} rows")
    value = result.get("observed_value")
    where = locators.get(bounds["column"])
    if meta.get("counts"):
        words = f"{int(value)} of {rows} rows" + (f", the first at {where}" if where and not passed else "")
        return RuleResult(**common, checked=rows, failed=int(value), observed=words)
    words = (_words(value) or "nothing") + (f" ({where})" if where and not passed else "")
    return RuleResult(**common, checked=1, failed=int(not passed), observed=words)


def _raised(info: Mapping[str, Any]) -> str:
    """Name of the exception; its message is left out, because it may quote a value. Empty: nothing was raised."""
    found = [info] if "raised_exception" in info else list(info.values())
    for one in found:
        if one["raised_exception"]:
            last = (one.get("exception_traceback") or "").strip().splitlines()[-1:] or ["an exception"]
            return re.split(r"[^\w.]", last[0])[0].rsplit(".", 1)[-1] or "an exception"
    return ""


def _bound(kwargs: Mapping[str, Any]) -> str:
    low, high = _words(kwargs.get("min_value")), _words(kwargs.get("max_value"))
    if low and high:
        return f"between {low} and {high}"
    return f"at least {low}" if low else f"at most {high}" if high else ""


def _words(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)


def _on(result: RuleResult, config: ValidateConfig) -> bool:
    return config.severity.get(result.rule) != "off"


def _overridden(result: RuleResult, config: ValidateConfig) -> RuleResult:
    return result.model_copy(update={"severity": config.severity.get(result.rule, result.severity)})
