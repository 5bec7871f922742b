"""The one rule for choosing among candidates, and the reasons in words.

1. Refuse what is degenerate: too much noise, too few segments, a segment too small or too large.
2. Of the rest take the highest held-out lift (on the validation slice). A fresh candidate's lift is first lowered by
   `churn_price` × the churn it forces beyond that of the best warm candidate. Where no candidate has a lift,
   silhouette stands in its place; candidates without the measure come last.
3. Values within `tie` of the best, relative, are ties: the more stable candidate wins, then the one with fewer
   segments, then the first by name.
"""

from collections.abc import Sequence

from schemas.config import SelectConfig
from schemas.errors import DataError
from schemas.reports import Choice, EvaluationReport

LIFT = "heldout_lift"
SILHOUETTE = "silhouette"
STABILITY = "stability"
BALANCE = "balance"
NOISE = "noise_share"
CHURN = "churn"
"""Metric of a report: share of known users whom the candidate would move to another segment. Absent counts as 0."""
WORDS = {LIFT: "held-out lift on the validation slice", SILHOUETTE: "silhouette"}
"""What the reasons call a measure."""


def refusals(report: EvaluationReport, config: SelectConfig) -> tuple[str, ...]:
    """Why a candidate may not be chosen, in words and numbers; empty: it may.

    Reads the metrics `noise_share` and `balance` (details count, smallest_users, largest_share); one that was not
    measured refuses nothing, one that came out missing does.
    """
    found: list[str] = []
    noise, sizes = report.value(NOISE), report.metrics.get(BALANCE)
    if noise is not None and noise > config.max_noise:
        found.append(f"{noise:.1%} of the users have no segment, more than {config.max_noise:.1%}")
    if sizes is None:
        return tuple(found)
    if sizes.value is None:
        return (*found, "no user has a segment")
    count, smallest = sizes.details.get("count"), sizes.details.get("smallest_users")
    largest = sizes.details.get("largest_share")
    if count is not None and count < config.min_segments:
        found.append(f"{count} segment{'' if count == 1 else 's'}, fewer than {config.min_segments}")
    if smallest is not None and smallest < config.min_segment_users:
        found.append(f"the smallest segment has {smallest} users, fewer than {config.min_segment_users}")
    if largest is not None and largest > config.max_largest_share:
        found.append(f"the largest segment holds {largest:.1%} of the users, more than {config.max_largest_share:.1%}")
    return tuple(found)


def choose(reports: Sequence[EvaluationReport], config: SelectConfig, measure: str = LIFT) -> Choice:
    """Choose a candidate by the rule above.

    Args:
        reports: One per candidate; what a report already refuses stays refused.
        config: Bounds, tie and the price of churn.
        measure: Metric to choose by, higher is better.

    Raises:
        DataError: There are no candidates, two have one name, or all are refused (each with its reasons).
    """
    names = [report.candidate for report in reports]
    if not names or len(set(names)) < len(names):
        raise DataError(f"candidates must be named apart, and at least one is needed; got {names}")
    refused = {r.candidate: tuple(dict.fromkeys((*r.refused, *refusals(r, config)))) for r in reports}
    refused = {name: reasons for name, reasons in refused.items() if reasons}
    left = [report for report in reports if report.candidate not in refused]
    if not left:
        listed = " | ".join(f"{name}: {'; '.join(reasons)}" for name, reasons in refused.items())
        raise DataError(f"every candidate was refused; widen the search or the bounds of select. {listed}")
    used = measure if any(_value(report, measure) is not None for report in left) else SILHOUETTE
    priced = {report.candidate: _priced(report, left, used, config) for report in left}
    ranking = rank(left, priced, config.tie)
    return Choice(
        chosen=ranking[0].candidate,
        reason=explain(ranking, priced, used, measure, config),
        ranking=tuple(report.candidate for report in ranking),
        refused=refused,
        pareto=pareto(left, (used, SILHOUETTE, STABILITY, BALANCE)),
    )


def merit(report: EvaluationReport) -> float | None:
    """What a search maximises: held-out lift, or silhouette where there is none; None: refused."""
    if report.refused:
        return None
    lift = report.value(LIFT)
    return report.value(SILHOUETTE) if lift is None else lift


def rank(reports: Sequence[EvaluationReport], values: dict[str, float], tie: float) -> list[EvaluationReport]:
    """Best first: again and again the best of what is left, ties (relative to the best value) by `_tiebreak`."""
    left, ranking = list(reports), []
    while left:
        best = max(values[report.candidate] for report in left)
        tied = [report for report in left if _tied(values[report.candidate], best, tie)]
        ranking.append(min(tied, key=_tiebreak))
        left.remove(ranking[-1])
    return ranking


def pareto(reports: Sequence[EvaluationReport], measures: Sequence[str]) -> tuple[str, ...]:
    """Candidates that no other beats: at least as good in every measure and better in one; missing is worst."""

    def point(report: EvaluationReport) -> tuple[float, ...]:
        values = (_value(report, measure) for measure in dict.fromkeys(measures))
        return tuple(float("-inf") if value is None else value for value in values)

    points = {report.candidate: point(report) for report in reports}
    return tuple(
        name
        for name, mine in points.items()
        if not any(all(a >= b for a, b in zip(other, mine, strict=True)) and other != mine for other in points.values())
    )


def explain(
    ranking: Sequence[EvaluationReport], priced: dict[str, float], used: str, measure: str, config: SelectConfig
) -> str:
    """One paragraph: what the chosen one measured, against whom, and which step of the rule decided."""
    first, rest = ranking[0], ranking[1:]
    name = WORDS.get(used, used)
    words = [f"{first.candidate} was chosen by {name}, {_shown(_value(first, used))}, among {len(ranking)} candidates."]
    if used != measure:
        words.append(f"No candidate has {WORDS.get(measure, measure)}, so {name} decided.")
    best = max(priced.values())
    tied = [report for report in rest if _tied(priced[report.candidate], best, config.tie)]
    if tied:
        words.append(_told_apart(first, tied, used, config))
    elif rest:
        words.append(f"Next is {rest[0].candidate} with {_shown(_value(rest[0], used))}.")
    return " ".join([*words, *_lowered(ranking, priced, used)])


def _told_apart(first: EvaluationReport, tied: Sequence[EvaluationReport], used: str, config: SelectConfig) -> str:
    """How a tie was broken."""
    others = ", ".join(f"{r.candidate} ({_measures(r, used)})" for r in tied)
    return (
        f"Tied within {config.tie:.1%} with {others}; a tie goes to the more stable, then to fewer segments, then to "
        f"the first by name: {_measures(first, used)}."
    )


def _lowered(ranking: Sequence[EvaluationReport], priced: dict[str, float], used: str) -> list[str]:
    """Which candidates pay for users they move, and how much."""
    found = []
    for report in ranking:
        value, counted = _value(report, used), priced[report.candidate]
        if value is not None and counted < value:
            found.append(f"{report.candidate} {_shown(value)} as {_shown(counted)} ({_churn(report):.1%} moved)")
    return [f"Lowered for the known users that they move: {'; '.join(found)}."] if found else []


def _priced(report: EvaluationReport, all_left: Sequence[EvaluationReport], used: str, config: SelectConfig) -> float:
    """The measure less the price of the churn that a fresh candidate forces beyond the best warm one."""
    value = _value(report, used)
    if value is None:
        return float("-inf")
    warm = [other for other in all_left if other.warm and _value(other, used) is not None]
    if report.warm or not warm:
        return value
    best = max(warm, key=lambda other: _value(other, used) or 0.0)
    return value - config.churn_price * max(0.0, _churn(report) - _churn(best))


def _value(report: EvaluationReport, name: str) -> float | None:
    """A metric's value; silhouette under cosine for all, because values of different spaces don't compare."""
    metric = report.metrics.get(name)
    if metric is None or metric.value is None:
        return None
    return float(metric.details.get("cosine", metric.value)) if name == SILHOUETTE else metric.value


def _churn(report: EvaluationReport) -> float:
    return report.value(CHURN) or 0.0


def _tied(value: float, best: float, tie: float) -> bool:
    return value == best or best - value <= tie * abs(best) + 1e-12  # rounding decides no tie


def _tiebreak(report: EvaluationReport) -> tuple[float, float, str]:
    stable, sizes = report.value(STABILITY), report.metrics.get(BALANCE)
    count = None if sizes is None else sizes.details.get("count")
    return (
        float("inf") if stable is None else -stable,
        float("inf") if count is None else float(count),
        report.candidate,
    )


def _shown(value: float | None) -> str:
    return "missing" if value is None else f"{value:.4f}"


def _measures(report: EvaluationReport, used: str) -> str:
    sizes = report.metrics.get(BALANCE)
    count = "?" if sizes is None else sizes.details.get("count", "?")
    name = "lift" if used == LIFT else used
    return f"{name} {_shown(_value(report, used))}, stability {_shown(report.value(STABILITY))}, {count} segments"
