"""A number against its bound, as a gate; what is missing or not a number never passes."""

import math
from collections.abc import Callable

from schemas.reports import Difference, Gate

NO_CHAMPION = "there is no champion yet"
ROUNDING = 1e-9  # 0.48 - 0.5 is a little less than -0.02: at its bound a number passes


def at_most(name: str, measured: float | None, bound: float, what: str) -> Gate:
    """Passes where a finite number is at most the bound."""
    return held(name, measured, f"<= {bound:.4g}", what, lambda value: value <= bound + ROUNDING)


def at_least(name: str, measured: float | None, bound: float, what: str) -> Gate:
    """Passes where a finite number is at least the bound."""
    return held(name, measured, f">= {bound:.4g}", what, lambda value: value >= bound - ROUNDING)


def held(
    name: str, measured: float | None, bound: str, what: str, holds: Callable[[float], bool], form: str = ".4g"
) -> Gate:
    """Passes where a finite number holds; `form` is how it is told."""
    if measured is None or not math.isfinite(measured):
        return Gate(name=name, passed=False, measured=None, bound=bound, why=f"{what} is missing or not a number")
    return Gate(name=name, passed=holds(measured), measured=measured, bound=bound, why=f"{what}: {measured:{form}}")


def free(name: str, why: str) -> Gate:
    """Passes because there is nothing to compare."""
    return Gate(name=name, passed=True, measured=None, bound="none", why=f"nothing to compare: {why}", compared=False)


def not_below(name: str, gap: Difference | None, margin: float) -> Gate:
    """Passes where the measured fall is within the margin, and either surely so or no more than chance would make it.

    A wide interval excuses nothing: a fall beyond the margin is refused whatever else it might have been.
    """
    bound = f"a fall of at most {margin:.4g}, surely so or within chance"
    if gap is None or not all(map(math.isfinite, (gap.value, gap.low, gap.high, gap.base))):
        return Gate(name=name, passed=False, measured=None, bound=bound, why="the comparison is missing")
    small, chance = gap.low >= -margin - ROUNDING, gap.high >= -ROUNDING
    passed = gap.value >= -margin - ROUNDING and (small or chance)
    why = f"candidate {gap.base + gap.value:.4g}, champion {gap.base:.4g}: {told(gap)}"
    return Gate(name=name, passed=passed, measured=gap.value, bound=bound, why=why)


def told(gap: Difference) -> str:
    """A difference with its interval."""
    return f"{gap.value:+.4g} [{gap.low:+.4g}, {gap.high:+.4g}], n = {gap.n}"
