"""Great Expectations suites, one file per table.

A suite bounds what `tasks/validation` counted in one pass over the table (`schemas.facts.Facts`), so that its cost does
not grow with the rows.
"""

import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from schemas.config import ValidateConfig
from schemas.facts import COLUMNS, COPIED, DISTINCT, DTYPES, NO_STRANGE_COLUMNS, Facts
from schemas.tables import INPUTS, PUBLISHED, REPEATING, USER_EMBEDDINGS, USER_FEATURES, USER_VECTORS

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

SuiteFactory = Callable[[ValidateConfig, Facts | None], "ExpectationSuite"]


def suites() -> dict[str, SuiteFactory]:
    """The `suite` function of every table that has one, by table name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return {name: importlib.import_module(f"{__name__}.{name}").suite for name in names}


def rule_names() -> set[str]:
    """What `validation.severity` may name: every rule that some suite has for some data, as `table.rule`."""
    figures = ["known_items", "known_users", "size_mismatch", "mean_shift", "share_shift"]
    figures += [f"{table}.{figure}" for table in INPUTS for figure in ("share", "unbalanced")]
    unlisted = dict.fromkeys(("segment_id.unlisted", "to_segment_id.unlisted", "item_id.unlisted"), 0)
    made = {table.name: table for table in (USER_FEATURES, USER_EMBEDDINGS, USER_VECTORS)}
    contracts, names = {**INPUTS, **PUBLISHED, **made}, set()
    for table, suite in suites().items():
        columns = dict.fromkeys(contracts[table].names, "")
        repeats = dict.fromkeys((DISTINCT, COPIED) if table in REPEATING else (), 0.0)
        facts = Facts(
            table=table,
            rows=1,
            columns=columns,
            counts=unlisted,
            numbers=dict.fromkeys(figures, 0.0) | repeats,
            previous=Facts(table=table, rows=1, numbers=repeats),
        )
        rules = suite(ValidateConfig(allowed_events=()), facts).expectations
        names |= {str((one.meta or {})["rule"]) for one in rules}
        names |= {f"{table}.{rule}" for rule in (COLUMNS, NO_STRANGE_COLUMNS, DTYPES)}
    return names
