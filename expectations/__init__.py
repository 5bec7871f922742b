"""Great Expectations suites, one file per table.

A suite bounds what `tasks/validation` counted in one pass over the table (`schemas.facts.Facts`), so that its cost does
not grow with the rows.
"""

import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from schemas.config import ValidateConfig
from schemas.facts import Facts

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

SuiteFactory = Callable[[ValidateConfig, Facts | None], "ExpectationSuite"]


def suites() -> dict[str, SuiteFactory]:
    """The `suite` function of every table that has one, by table name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return {name: importlib.import_module(f"{__name__}.{name}").suite for name in names}
