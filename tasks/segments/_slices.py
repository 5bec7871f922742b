"""The gates that look at groups of users: nobody is left behind for the sake of the average."""

import math
from collections.abc import Callable

from schemas.config import GateConfig
from schemas.reports import Gate
from tasks.segments._gate import NO_CHAMPION, at_most, fact, free
from tasks.segments._measured import LIFT, GateInput, SliceFigures


def slice_unassigned(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """No declared group is left without segments more than before (without a champion: more than users at large)."""
    whole = candidate.unassigned_share

    def worse(column: str, group: str, ours: SliceFigures) -> float | None:
        theirs = _group(champion, column, group)
        base = whole if champion is None or theirs is None else theirs.unassigned
        return None if ours.unassigned is None or base is None else ours.unassigned - base

    return _slices("slices.unassigned", candidate, policy, worse)


def slice_lift(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """No declared group gets worse recommendations than the champion gives it, beyond the margin."""
    if champion is None or LIFT not in candidate.required:
        return free("slices.lift", NO_CHAMPION if champion is None else "nothing is recommended here")

    def worse(column: str, group: str, ours: SliceFigures) -> float | None:
        theirs = _group(champion, column, group)
        if theirs is None:
            return 0.0  # a group that the champion's data does not have cannot have been served better
        return None if ours.lift is None or theirs.lift is None else theirs.lift - ours.lift

    return _slices("slices.lift", candidate, policy, worse)


def _group(side: GateInput | None, column: str, group: str) -> SliceFigures | None:
    return None if side is None else side.slices.get(column, {}).get(group)


def _slices(
    name: str, candidate: GateInput, policy: GateConfig, worse: Callable[[str, str, SliceFigures], float | None]
) -> Gate:
    """The worst group decides; a declared column without figures fails."""
    if not policy.slices:
        return free(name, "no groups are declared")
    if absent := [column for column in policy.slices if not candidate.slices.get(column)]:
        return fact(name, None, "figures for every declared column", f"no figures for {', '.join(absent)}")
    judged = {
        f"{column}={group}": worse(column, group, figures)
        for column in policy.slices
        for group, figures in candidate.slices[column].items()
        if figures.n >= policy.min_slice_users
    }
    if not judged:
        return free(name, f"no group has {policy.min_slice_users} users")
    gaps = {group: math.inf if gap is None or not math.isfinite(gap) else gap for group, gap in judged.items()}
    group = max(gaps, key=lambda one: gaps[one])
    return at_most(name, gaps[group], policy.slice_margin, f"worst group {group}, worse by")
