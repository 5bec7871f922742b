"""Finds plugins by kind: every file of a plugin folder that does not start with an underscore is one."""

import importlib
import pkgutil
from functools import lru_cache
from types import ModuleType
from typing import Literal

from schemas.config import Section, kind_of
from schemas.errors import UsageError

Family = Literal["sources", "features", "encoders", "clusterers", "metrics", "recommenders"]


@lru_cache
def kinds(family: Family) -> tuple[str, ...]:
    """Names of the plugins in `tasks/<family>/`, sorted."""
    package = importlib.import_module(f"tasks.{family}")
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def plugin(family: Family, kind: str) -> ModuleType:
    """The module `tasks/<family>/<kind>.py`.

    Raises:
        UsageError: there is no such plugin; the message lists those there are.
    """
    if kind not in kinds(family):
        raise UsageError(f"no {family} plugin is called {kind!r}; there are {', '.join(kinds(family))}")
    return importlib.import_module(f"tasks.{family}.{kind}")


def configs(family: Family) -> tuple[type[Section], ...]:
    """The `Config` classes of a folder's plugins, sorted by kind."""
    return tuple(plugin(family, kind).Config for kind in kinds(family))


def module_of(family: Family, config: Section) -> ModuleType:
    """The plugin module that a plugin's config belongs to."""
    return plugin(family, kind_of(config))


def settle() -> None:
    """Imports torch here and now, before tasks run in threads: SciPy trips over a torch that another thread imports."""
    importlib.import_module("torch")
