"""The gates that look at groups of users: nobody is left behind for the sake of the average."""

import math
from collections.abc import Callable

from schemas.gates import PRECISION, RECIPE, UNASSIGNED, GateConfig, GateInput, GroupFigures
from schemas.reports import Difference, Gate
from tasks.segments._gate import NO_CHAMPION, ROUNDING, at_most, free, told

Worse = Callable[[str, GroupFigures], float | None]


def slice_unassigned(candidate: GateInput, policy: GateConfig) -> Gate:
    """No declared group is left without segments more than before (without a champion: more than users at large)."""
    name, whole = "slices.unassigned", candidate.unassigned_share
    if candidate.champion is None:
        judged, refusal = _judged(name, candidate, policy)
        if refusal is not None or whole is None:
            return refusal or at_most(name, None, policy.slice_margin, "share of users without a segment")
        group = max(judged, key=lambda one: judged[one].unassigned)
        what = f"worst group {group}, more than among all users by"
        return at_most(name, judged[group].unassigned - whole, policy.slice_margin, what)
    return _against(name, candidate, policy, lambda gap: (gap.value, gap.low), UNASSIGNED)


def slice_lift(candidate: GateInput, policy: GateConfig) -> Gate:
    """No declared group gets worse recommendations than the champion's recipe gives it, beyond margin and chance."""
    name = "slices.lift"
    if candidate.champion is None or RECIPE not in candidate.required:
        return free(name, NO_CHAMPION if candidate.champion is None else "nothing is recommended here")

    def fall(gap: Difference) -> tuple[float, float]:
        unit = gap.base or 1.0  # where the champion hits nobody nothing can fall
        return -gap.value / unit, -gap.high / unit

    return _against(name, candidate, policy, fall, PRECISION)


def _against(
    name: str, candidate: GateInput, policy: GateConfig, fall: Callable[[Difference], tuple[float, float]], what: str
) -> Gate:
    """Fails where a group fell by more than the margin, and surely: the nearer end of its interval is a fall too.

    The intervals of several groups hold together (`measure` widens them by their number), so that many groups are no
    reason to refuse.
    """
    judged, refusal = _judged(name, candidate, policy)
    if refusal is not None:
        return refusal
    gaps = {group: figures.against.get(what) for group, figures in judged.items()}
    bound = f"<= {policy.slice_margin:.4g}, or not surely a fall"
    if absent := [group for group, gap in gaps.items() if gap is None or not math.isfinite(gap.value)]:
        return Gate(name=name, passed=False, measured=None, bound=bound, why=f"no figures for {', '.join(absent)}")
    falls = {group: (*fall(gap), gap) for group, gap in gaps.items() if gap is not None}
    failed = {g: one for g, one in falls.items() if one[0] > policy.slice_margin + ROUNDING and one[1] > 0}
    group = max(failed or falls, key=lambda one: falls[one][0])
    why = f"worst group {group}: {what} {told(falls[group][2])}"
    return Gate(name=name, passed=not failed, measured=falls[group][0], bound=bound, why=why)


def _judged(name: str, candidate: GateInput, policy: GateConfig) -> tuple[dict[str, GroupFigures], Gate | None]:
    """The groups that are large enough, or the gate that says why none is judged."""
    if not policy.slices:
        return {}, free(name, "no groups are declared")
    if absent := [column for column in policy.slices if not candidate.groups.get(column)]:
        why = f"no figures for {', '.join(absent)}"
        return {}, Gate(name=name, passed=False, measured=None, bound="figures for every declared column", why=why)
    found = {
        f"{column}={group}": figures
        for column in policy.slices
        for group, figures in candidate.groups[column].items()
        if figures.n >= policy.min_slice_users
    }
    return found, None if found else free(name, f"no group has {policy.min_slice_users} users")
