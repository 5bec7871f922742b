"""Finds plugins by kind: files of a plugin folder that do not start with an underscore, and entry points of others.

Another package offers one under the entry-point group `fenqun.<family>`, by its kind: `birch = "their_package.birch"`.
"""

import importlib
import pkgutil
from functools import lru_cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, TypeVar

from schemas.config import Section, kind_of
from schemas.errors import UsageError
from tasks.plugins.contracts import Family, lacking

T = TypeVar("T", bound=Section)


@lru_cache
def modules(family: Family) -> dict[str, str]:
    """Kind -> module of every plugin, sorted by kind.

    Raises:
        UsageError: another package offers a kind that is ours already.
    """
    package = importlib.import_module(f"tasks.{family}")
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    ours = {name: f"{package.__name__}.{name}" for name in names if not name.startswith("_")}
    theirs = {point.name: point.value for point in entry_points(group=f"fenqun.{family}")}
    if twice := sorted(ours.keys() & theirs.keys()):
        raise UsageError(f"{theirs[twice[0]]}: there is a {family} plugin {twice[0]!r} already; rename this one")
    return dict(sorted({**ours, **theirs}.items()))


def kinds(family: Family) -> tuple[str, ...]:
    """Names of the plugins of a family, sorted."""
    return tuple(modules(family))


@lru_cache
def plugin(family: Family, kind: str) -> ModuleType:
    """The module of a plugin.

    Raises:
        UsageError: there is no such plugin (the message lists those there are), or it does not offer what it must.
    """
    found = modules(family)
    if kind not in found:
        raise UsageError(f"no {family} plugin is called {kind!r}; there are {', '.join(found)}")
    module = importlib.import_module(found[kind])
    if missing := lacking(family, kind, module):
        what = ", ".join(missing)
        raise UsageError(f"{found[kind]}: a {family} plugin must offer {what} (tasks/plugins/contracts.py)")
    return module


def configs(family: Family) -> tuple[type[Section], ...]:
    """The `Config` classes of a family's plugins, sorted by kind."""
    return tuple(plugin(family, kind).Config for kind in kinds(family))


def module_of(family: Family, config: Section) -> ModuleType:
    """The plugin module that a plugin's config belongs to."""
    return plugin(family, kind_of(config))


def block(kind: str) -> tuple[Family, ModuleType]:
    """The plugin that makes a block of a user's vector: an encoder of behaviour, or else a feature family."""
    family: Family = "behaviour_encoders" if kind in modules("behaviour_encoders") else "features"
    return family, plugin(family, kind)


def settle() -> None:
    """Imports torch here and now, before tasks run in threads: SciPy trips over a torch that another thread imports."""
    importlib.import_module("torch")


def restored(kind: type[T], data: dict[str, Any], what: str) -> T:
    """A recorded config, read by this version.

    Args:
        kind: The config's model.
        data: What was recorded.
        what: Names it in the error.

    Raises:
        UsageError: the model has no such field, or not such a value.
    """
    from pydantic import ValidationError

    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"bundle: {what}.{where}: {first['msg']}; it was made by another version") from error
