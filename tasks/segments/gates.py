"""The gates between a candidate and the champion's place: pure functions, each of which must say yes.

What is missing or not a number fails. Comparative gates hold the candidate against the champion as measured on the
same data; where there is no champion yet they pass, and the absolute ones still hold.
"""

import math
from collections.abc import Callable
from datetime import datetime

from schemas.config import GateConfig
from schemas.errors import UsageError
from schemas.reports import Gate, Verdict
from tasks.segments._gate import NO_CHAMPION, at_least, at_most, difference, fact, free, held
from tasks.segments._measured import (
    CATALOGUE,
    COSINE,
    LIFT,
    OVER_RANDOM,
    SILHOUETTE,
    STABILITY,
    GateInput,
    SliceFigures,
)
from tasks.segments._slices import slice_lift, slice_unassigned

GateFunction = Callable[[GateInput, "GateInput | None", GateConfig], Gate]


def metrics_finite(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """Every required metric is a finite number with a finite interval."""
    bad = [name for name in candidate.required if not _sound(candidate, name)]
    odd = [name for name in candidate.metrics if candidate.value(name) is not None and not _sound(candidate, name)]
    wrong = sorted({*bad, *odd})
    why = f"missing or not a number: {', '.join(wrong)}" if wrong else "all required metrics are finite"
    return Gate(name="validity.metrics", passed=not wrong, measured=float(len(wrong)), bound="0 missing", why=why)


def _sound(candidate: GateInput, name: str) -> bool:
    value, interval = candidate.value(name), candidate.interval(name)
    if value is None or not math.isfinite(value):
        return False
    return interval is None or all(math.isfinite(end) for end in interval)


def one_row_each(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """Every user has exactly one assignment."""
    users, rows, distinct = candidate.users, candidate.rows, candidate.distinct
    whole = None not in (users, rows, distinct) and users == rows == distinct and bool(users)
    why = f"{users} users, {rows} rows, {distinct} distinct users in the assignments"
    return Gate(name="validity.rows", passed=whole, measured=rows, bound="one row for every user", why=why)


def unassigned(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """Not too many users are without a segment."""
    what = "share of users without a segment"
    return at_most("validity.unassigned", candidate.unassigned_share, policy.max_unassigned, what)


def smallest(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """No segment is too small."""
    size = min(candidate.sizes.values()) if candidate.sizes else None
    return at_least("validity.smallest", size, policy.min_segment_users, "users of the smallest segment")


def largest(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """No segment swallows nearly everybody."""
    assigned = sum(candidate.sizes.values())
    share = max(candidate.sizes.values()) / assigned if assigned else None
    return at_most(
        "validity.largest", share, policy.max_largest_share, "share of assigned users in the largest segment"
    )


def sizes_add_up(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """The segments' sizes and the unassigned are all the rows."""
    total = None if candidate.unassigned is None else sum(candidate.sizes.values()) + candidate.unassigned
    why = f"segments and unassigned hold {total} users, the assignments {candidate.rows} rows"
    passed = total is not None and total == candidate.rows
    return Gate(name="validity.sizes", passed=passed, measured=total, bound="sizes + unassigned = rows", why=why)


def feature_order(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """The vectors were made from the columns that the bundle declares, in that order."""
    got, asked = candidate.features_sha256, candidate.expected_features_sha256
    same = got is not None and got == asked
    why = "the order of features is the bundle's" if same else "the order of features is missing or not the bundle's"
    return fact("validity.features", same, "hash of the bundle", why)


def no_future(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """Nothing later than as_of changes an assignment."""
    what = "users whose assignment changes when what came after as_of is taken away"
    return at_most("validity.leak", candidate.leaked, 0, what)


def user_coverage(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """The share of users with a segment did not fall beyond the margin."""
    share = candidate.unassigned_share
    covered = None if share is None else 1.0 - share
    if champion is None:
        return free("coverage.users", NO_CHAMPION)
    theirs = champion.unassigned_share
    return difference("coverage.users", covered, None if theirs is None else 1.0 - theirs, policy.coverage_margin)


def catalogue_coverage(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """The share of the catalogue that is recommended did not fall beyond the margin."""
    if champion is None or LIFT not in candidate.required:
        return free("coverage.catalogue", NO_CHAMPION if champion is None else "nothing is recommended here")
    ours, theirs = candidate.detail(LIFT, CATALOGUE), champion.detail(LIFT, CATALOGUE)
    return difference("coverage.catalogue", ours, theirs, policy.coverage_margin)


def silhouette(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """Segments are not less separate than the champion's."""
    return _quality("quality.silhouette", SILHOUETTE, candidate, champion, policy.silhouette_margin)


def stability(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """Segments are not less repeatable than the champion's."""
    return _quality("quality.stability", STABILITY, candidate, champion, policy.stability_margin)


def lift_champion(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """Held-out lift is not below the champion's."""
    return _quality("lift.champion", LIFT, candidate, champion, policy.lift_margin)


def _quality(name: str, metric: str, candidate: GateInput, champion: GateInput | None, margin: float) -> Gate:
    if metric not in candidate.required:
        return free(name, f"{metric} is not measured here")
    if champion is None:
        return free(name, NO_CHAMPION)
    ours, theirs = _one_space(metric, candidate, champion)
    interval = candidate.interval(metric)
    words = "" if interval is None else f" [{interval[0]:.4g}, {interval[1]:.4g}]"
    return difference(name, ours, theirs, margin, words)


def _one_space(metric: str, candidate: GateInput, champion: GateInput) -> tuple[float | None, float | None]:
    """Both values in one metric space: a silhouette under cosine says nothing beside one under Euclid."""
    spaces = {side.metrics[metric].space for side in (candidate, champion) if metric in side.metrics}
    if metric == SILHOUETTE and len(spaces) > 1:
        return candidate.detail(metric, COSINE), champion.detail(metric, COSINE)
    return candidate.value(metric), champion.value(metric)


def lift_random(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """Recommendations beat those of random segments of the same sizes: the whole interval lies above 0."""
    if LIFT not in candidate.required:
        return free("lift.random", "nothing is recommended here")
    value, interval = candidate.detail(LIFT, OVER_RANDOM), candidate.interval(LIFT, OVER_RANDOM)
    low = None if value is None or not math.isfinite(value) or interval is None else interval[0]
    what = "lower end of the lift over random segments"
    return held("lift.random", low, "> 0", what, lambda end: end > 0)


def churn(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """Not too many unchanged users would change segment, unless a drift reason is written down."""
    if champion is None:
        return free("churn", NO_CHAMPION)
    measured = None if candidate.churn is None else candidate.churn.value
    gate = at_most("churn", measured, policy.max_churn, "share of unchanged users who would change segment")
    if not gate.passed and gate.measured is not None and (policy.drift_reason or "").strip():
        return gate.model_copy(update={"passed": True, "why": f"{gate.why}; excused: {policy.drift_reason}"})
    return gate


def same_data(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """The champion was measured anew on the candidate's data: numbers of another day are never compared."""
    if champion is None:
        return free("data.same", NO_CHAMPION)
    same = bool(candidate.data) and candidate.data == champion.data and candidate.as_of == champion.as_of
    return fact("data.same", same, "one fingerprint", "measured on one data set" if same else "on different data sets")


def fresh(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """The newest event is recent enough, and not after as_of."""
    newest = candidate.newest_event
    age = None if newest is None else (candidate.as_of - newest).total_seconds() / 86_400
    if policy.max_data_age_days is None and age is None:
        return free("data.fresh", "no bound is declared, and there are no dated rows")
    bound = math.inf if policy.max_data_age_days is None else policy.max_data_age_days
    return held("data.fresh", age, f"0 to {bound:.4g} days", "age of the newest event, days", lambda a: 0 <= a <= bound)


def validated(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """The inputs and features kept their expectations."""
    why = {True: "validation passed", False: "validation failed", None: "validation was not run"}[candidate.validated]
    return fact("data.validated", candidate.validated, "passed", why)


def row_counts(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """There are about as many users as there were: truncated or doubled data is not learned from."""
    if champion is None:
        return at_least("data.rows", candidate.users, 1, "users")
    before, (low, high) = candidate.previous_users, policy.row_change
    ratio = None if not before or candidate.users is None else candidate.users / before
    what = f"{candidate.users} users, {before} when the champion was fitted, ratio"
    return held("data.rows", ratio, f"{low:g} to {high:g}", what, lambda value: low <= value <= high)


def published(candidate: GateInput, champion: GateInput | None, policy: GateConfig) -> Gate:
    """The tables that would be published keep their expectations."""
    why = {True: "expectations hold", False: "expectations failed", None: "expectations were not checked"}
    return fact("published", candidate.published, "passed", why[candidate.published])


GATES: tuple[GateFunction, ...] = (
    metrics_finite, one_row_each, unassigned, smallest, largest, sizes_add_up, feature_order, no_future, user_coverage,
    catalogue_coverage, slice_unassigned, slice_lift, silhouette, stability, churn, lift_champion, lift_random,
    same_data, fresh, validated, row_counts, published,
)  # fmt: skip


def verdict(
    candidate: GateInput,
    champion: GateInput | None,
    policy: GateConfig,
    *,
    decided_at: datetime | None = None,
    gates: tuple[GateFunction, ...] = GATES,
) -> Verdict:
    """Whether the candidate may replace the champion: only if every gate passes.

    Args:
        candidate: As measured on its data.
        champion: As measured on the same data; None: there is none yet.
        policy: Bounds and margins.
        decided_at: UTC moment of the decision, for the record.
        gates: Which gates are asked; tests leave one out to see that it is missed.
    """
    asked = tuple(gate(candidate, champion, policy) for gate in gates)
    passed = bool(asked) and all(gate.passed for gate in asked)
    return Verdict(promoted=passed, gates=asked, override=None, decided_at=decided_at)


def override(refusal: Verdict, author: str, reason: str) -> Verdict:
    """Promote in spite of a refusal, on the record: the gates stay as they came out.

    Raises:
        UsageError: no name or no reason is given.
    """
    author, reason = " ".join(author.split()), " ".join(reason.split())
    if not author or not reason:
        raise UsageError("override: give the name of who decides (--author) and the reason (--reason)")
    return refusal.model_copy(update={"promoted": True, "override": f"{author}: {reason}"})


__all__ = ["GATES", "GateInput", "SliceFigures", "override", "verdict"]
