"""A number against its bound, as a gate; what is missing or not a number never passes."""

import math
from collections.abc import Callable

from schemas.reports import Gate

NO_CHAMPION = "there is no champion yet"
ROUNDING = 1e-9  # 0.48 - 0.5 is a little less than -0.02: at its bound a number passes


def at_most(name: str, measured: float | None, bound: float, what: str) -> Gate:
    """Passes where a finite number is at most the bound."""
    return held(name, measured, f"<= {bound:.4g}", what, lambda value: value <= bound + ROUNDING)


def at_least(name: str, measured: float | None, bound: float, what: str) -> Gate:
    """Passes where a finite number is at least the bound."""
    return held(name, measured, f">= {bound:.4g}", what, lambda value: value >= bound - ROUNDING)


def held(name: str, measured: float | None, bound: str, what: str, holds: Callable[[float], bool]) -> Gate:
    if measured is None or not math.isfinite(measured):
        return Gate(name=name, passed=False, measured=None, bound=bound, why=f"{what} is missing or not a number")
    return Gate(name=name, passed=holds(measured), measured=measured, bound=bound, why=f"{what}: {measured:.4g}")


def fact(name: str, passed: bool | None, bound: str, why: str) -> Gate:
    measured = None if passed is None else float(passed)
    return Gate(name=name, passed=bool(passed), measured=measured, bound=bound, why=why)


def free(name: str, why: str) -> Gate:
    return Gate(name=name, passed=True, measured=None, bound="none", why=why)


def difference(name: str, ours: float | None, theirs: float | None, margin: float, interval: str = "") -> Gate:
    """Passes where ours - theirs >= -margin; a champion without the number is no excuse."""
    gap = None if ours is None or theirs is None else ours - theirs
    gate = at_least(name, gap, -margin, "candidate minus champion, on the same data")
    if gap is None:
        return gate
    return gate.model_copy(update={"why": f"candidate {ours:.4g}{interval}, champion {theirs:.4g}: {gap:+.4g}"})
