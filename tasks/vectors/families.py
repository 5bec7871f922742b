"""Which feature families can work on the tables that there are, and what none of them may see."""

from collections.abc import Collection, Sequence

from schemas.config import Section, kind_of
from schemas.tables import USERS
from tasks.plugins.find import module_of
from tasks.stores.buckets import Refs

TRUTH = "truth_"


def usable(
    features: Sequence[Section], tables: Refs, truth: Collection[str] = ()
) -> tuple[tuple[Section, ...], dict[str, str]]:
    """Which families can work, and why the others are switched off.

    Args:
        features: The configured families.
        tables: Input tables by name.
        truth: Users columns with known labels, to compare with or to learn; neither they nor any `truth_*` become
            features.
    """
    on, off = [], {}
    for config in features:
        needed = module_of("features", config).REQUIRES
        missing = [name for name in needed if name not in tables]
        empty = [name for name in needed if name in tables and not tables[name].rows]
        if missing or empty:
            off[kind_of(config)] = f"no table {', '.join(missing)}" if missing else f"no rows in {', '.join(empty)}"
        else:
            on.append(_blind(config, tables, truth))
    return tuple(on), off


def _blind(config: Section, tables: Refs, truth: Collection[str]) -> Section:
    """The config of a family that reads any users column, told to ignore the truth."""
    if "ignore" not in type(config).model_fields or USERS.name not in tables:
        return config
    known = {name for name in tables[USERS.name].columns if name in truth or name.startswith(TRUTH)}
    ignored = tuple(sorted({*config.ignore, *known}))  # type: ignore[attr-defined]
    return config.model_copy(update={"ignore": ignored})
