"""The gates between a candidate and the champion's place: pure functions, each of which must say yes.

What is missing or not a number fails. Comparisons hold the model that would go live, and its recipe, against what
readers have today, by the paired interval of the difference; where there is no champion yet they have nothing to
compare, and the absolute gates still hold.
"""

import math
from collections.abc import Callable
from datetime import datetime

from schemas.errors import UsageError
from schemas.gates import (
    BY_DATE,
    CATALOGUE,
    MODEL,
    OVER_CHANCE,
    OVER_RANDOM,
    RECIPE,
    SILHOUETTE,
    STABILITY,
    UNSEEN,
    USERS,
    GateConfig,
    GateInput,
)
from schemas.reports import Difference, Gate, Verdict
from tasks.segments._gate import NO_CHAMPION, at_least, at_most, free, held, not_below
from tasks.segments._slices import slice_lift, slice_unassigned

GateFunction = Callable[[GateInput, GateConfig], Gate]


def metrics_finite(candidate: GateInput, policy: GateConfig) -> Gate:
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


def one_row_each(candidate: GateInput, policy: GateConfig) -> Gate:
    """Every user that the tables know has exactly one assignment."""
    known, rows, distinct = candidate.known, candidate.rows, candidate.distinct
    whole = None not in (known, rows, distinct) and known == rows == distinct and bool(known)
    why = f"{known} users in the tables, {rows} rows of {distinct} distinct users in the assignments"
    return Gate(name="validity.rows", passed=whole, measured=rows, bound="one row for every user", why=why)


def unassigned(candidate: GateInput, policy: GateConfig) -> Gate:
    """Not too many users are without a segment."""
    what = "share of users without a segment"
    return at_most("validity.unassigned", candidate.unassigned_share, policy.max_unassigned, what)


def smallest(candidate: GateInput, policy: GateConfig) -> Gate:
    """No segment is too small."""
    size = min(candidate.sizes.values()) if candidate.sizes else None
    return at_least("validity.smallest", size, policy.min_segment_users, "users of the smallest segment")


def largest(candidate: GateInput, policy: GateConfig) -> Gate:
    """No segment swallows nearly everybody."""
    assigned = sum(candidate.sizes.values())
    share = max(candidate.sizes.values()) / assigned if assigned else None
    what = "share of assigned users in the largest segment"
    return at_most("validity.largest", share, policy.max_largest_share, what)


def sizes_add_up(candidate: GateInput, policy: GateConfig) -> Gate:
    """The segments' own sizes and the unassigned are all the rows of the assignments."""
    total = None if candidate.unassigned is None else sum(candidate.sizes.values()) + candidate.unassigned
    why = f"segments and unassigned hold {total} users, the assignments {candidate.rows} rows"
    passed = total is not None and total == candidate.rows
    return Gate(name="validity.sizes", passed=passed, measured=total, bound="sizes + unassigned = rows", why=why)


def same_vectors(candidate: GateInput, policy: GateConfig) -> Gate:
    """The registered bundle makes of raw users the vectors that the segments were fitted on."""
    if why := candidate.incomparable.get("shifted"):
        return free("validity.vectors", why)
    what = "users whose vector by the registered bundle is not that of the fit"
    return at_most("validity.vectors", candidate.shifted, 0, what)


def no_future(candidate: GateInput, policy: GateConfig) -> Gate:
    """Nothing later than as_of changes an assignment."""
    what = "users whose segment changes when rows after as_of are put in"
    return at_most("validity.leak", candidate.leaked, 0, what)


def user_coverage(candidate: GateInput, policy: GateConfig) -> Gate:
    """The share of users with a segment did not fall beyond the margin."""
    return _compared(USERS, candidate, lambda _: policy.coverage_margin)


def catalogue_coverage(candidate: GateInput, policy: GateConfig) -> Gate:
    """The share of the catalogue that is recommended did not fall beyond the margin."""
    return _compared(CATALOGUE, candidate, lambda _: policy.coverage_margin)


def silhouette(candidate: GateInput, policy: GateConfig) -> Gate:
    """Segments are not less separate than the published ones, of the same users in one space."""
    return _compared(SILHOUETTE, candidate, lambda _: policy.silhouette_margin, "quality.silhouette")


def stability(candidate: GateInput, policy: GateConfig) -> Gate:
    """Segments are not less repeatable than the champion's, over the same resamples."""
    return _compared(STABILITY, candidate, lambda _: policy.stability_margin, "quality.stability")


def lift_recipe(candidate: GateInput, policy: GateConfig) -> Gate:
    """Held-out precision of the recipe is not below that of the champion's recipe, both fitted on the train slice."""
    return _compared(RECIPE, candidate, lambda gap: policy.lift_margin * gap.base)


def lift_model(candidate: GateInput, policy: GateConfig) -> Gate:
    """Precision of the registered labels is not below that of the published ones, on the same slice."""
    return _compared(MODEL, candidate, lambda gap: policy.lift_margin * gap.base)


def lift_unseen(candidate: GateInput, policy: GateConfig) -> Gate:
    """The recipe is not below the published labels on what users did since those were made."""
    return _compared(UNSEEN, candidate, lambda gap: policy.lift_margin * gap.base)


def lift_date(candidate: GateInput, policy: GateConfig) -> Gate:
    """As of one date, the recipe is not below the champion's recipe on what came after it."""
    return _compared(BY_DATE, candidate, lambda gap: policy.lift_margin * gap.base)


def over_chance(candidate: GateInput, policy: GateConfig) -> Gate:
    """Segments recommend about as much of the catalogue as random ones of the same sizes, which widen it by chance."""
    if why := candidate.incomparable.get(OVER_CHANCE):
        return free(OVER_CHANCE, why)
    gap = candidate.differences.get(OVER_CHANCE)
    what = "share of the catalogue that is recommended, less that of random segments"
    return at_least(OVER_CHANCE, None if gap is None else gap.value, -policy.coverage_margin, what)


def _compared(what: str, candidate: GateInput, margin: Callable[[Difference], float], name: str | None = None) -> Gate:
    """A comparison with the champion; the margin is in the unit of the difference."""
    if candidate.champion is None:
        return free(name or what, NO_CHAMPION)
    gap = candidate.differences.get(what)
    if gap is None and (why := candidate.incomparable.get(what)):
        return free(name or what, why)
    return not_below(name or what, gap, 0.0 if gap is None else margin(gap))


def random_recipe(candidate: GateInput, policy: GateConfig) -> Gate:
    """Recommendations by the recipe beat those of random segments of the same sizes: the whole interval is above 0."""
    return _over_random("random.recipe", RECIPE, candidate)


def random_model(candidate: GateInput, policy: GateConfig) -> Gate:
    """So do those by the registered labels."""
    return _over_random("random.model", MODEL, candidate)


def _over_random(name: str, metric: str, candidate: GateInput) -> Gate:
    if metric not in candidate.required:
        return free(name, "nothing is recommended here")
    interval = candidate.interval(metric, OVER_RANDOM)
    what = "lower end of the lift over random segments"
    return held(name, None if interval is None else interval[0], "> 0", what, lambda end: end > 0)


def churn(candidate: GateInput, policy: GateConfig) -> Gate:
    """Not too many users would change the segment that readers know, unless a drift reason is written down."""
    if candidate.champion is None:
        return free("churn", NO_CHAMPION)
    measured = None if candidate.churn is None else candidate.churn.value
    gate = at_most("churn", measured, policy.max_churn, "share of published users who would change segment")
    if not gate.passed and gate.measured is not None and (policy.drift_reason or "").strip():
        return gate.model_copy(update={"passed": True, "why": f"{gate.why}; excused: {policy.drift_reason}"})
    return gate


def fresh(candidate: GateInput, policy: GateConfig) -> Gate:
    """The newest event is recent enough by the clock, and not in the future."""
    newest = candidate.newest_event
    age = None if newest is None else (candidate.now - newest).total_seconds() / 86_400
    most = policy.max_data_age_days
    if most is None and age is None:
        return free("data.fresh", "no bound is declared, and there are no dated rows")
    bound = "not in the future" if most is None else f"0 to {most:.4g} days"
    oldest = math.inf if most is None else most
    return held("data.fresh", age, bound, "age of the newest event, days", lambda a: 0 <= a <= oldest, ".2f")


def row_counts(candidate: GateInput, policy: GateConfig) -> Gate:
    """There are about as many users as there were: truncated or doubled data is not learned from."""
    if candidate.champion is None:
        return at_least("data.rows", candidate.known, 1, "users")
    before, (low, high) = candidate.previous_users, policy.row_change
    ratio = None if not before or candidate.known is None else candidate.known / before
    what = f"{candidate.known} users, {before} when the champion was fitted, ratio"
    return held("data.rows", ratio, f"{low:g} to {high:g}", what, lambda value: low <= value <= high)


def users_kept(candidate: GateInput, policy: GateConfig) -> Gate:
    """The users whom readers know are still there: newcomers do not make up for people who vanished."""
    if candidate.champion is None:
        return free("data.kept", NO_CHAMPION)
    return at_least("data.kept", candidate.kept, policy.min_kept, "share of the published users who are still there")


def published(candidate: GateInput, policy: GateConfig) -> Gate:
    """The tables that would be published keep their expectations."""
    broken = candidate.broken
    told = "all hold" if not broken else f"broken: {', '.join(broken)}"
    why = "expectations were not checked" if broken is None else told
    measured = None if broken is None else float(len(broken))
    return Gate(name="published", passed=broken == (), measured=measured, bound="0 broken", why=why)


GATES: tuple[GateFunction, ...] = (
    metrics_finite,
    one_row_each,
    unassigned,
    smallest,
    largest,
    sizes_add_up,
    same_vectors,
    no_future,
    user_coverage,
    catalogue_coverage,
    slice_unassigned,
    slice_lift,
    silhouette,
    stability,
    churn,
    lift_recipe,
    lift_model,
    lift_unseen,
    lift_date,
    over_chance,
    random_recipe,
    random_model,
    fresh,
    row_counts,
    users_kept,
    published,
)


def verdict(
    candidate: GateInput,
    policy: GateConfig,
    *,
    decided_at: datetime | None = None,
    gates: tuple[GateFunction, ...] = GATES,
) -> Verdict:
    """Whether the candidate may replace the champion: only if every gate passes.

    Args:
        candidate: As measured, with its differences from the champion.
        policy: Bounds and margins.
        decided_at: UTC moment of the decision, for the record.
        gates: Which gates are asked; tests leave one out to see that it is missed.
    """
    asked = tuple(gate(candidate, policy) for gate in gates)
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


__all__ = ["GATES", "GateInput", "override", "verdict"]
