"""The one rule for choosing among candidates, and the reasons in words.

1. Refuse what is degenerate: too much noise, too few segments, a segment too small or too large, or a representation
   kept from the champion that no longer covers today's data; and of candidates that make the same segments those that
   asked for more than there are, where one asked for just as many.
2. Of the rest take the highest held-out lift (on the validation slice), less `churn_price` × the share of the known
   users that a candidate would move. Where no candidate has a lift, silhouette stands in its place; candidates without
   the measure come last.
3. What chance cannot tell from the best is a tie: a value within `tie` of it, relative, or one whose paired interval of
   the difference, over users and seeds, reaches 0. Of ties the one with fewer segments wins, then a fresh one that
   moves nobody, for it is what is live already, then the more stable one, then the first by name.
"""

from collections.abc import Callable, Sequence

from schemas.config import SelectConfig
from schemas.errors import DataError
from schemas.reports import Choice, Difference, EvaluationReport

Compare = Callable[[str, str], Difference | None]
"""Names of two candidates -> how far the first lies above the second, in lift, with its paired interval."""
LIFT = "heldout_lift"
SILHOUETTE = "silhouette"
STABILITY = "stability"
BALANCE = "balance"
NOISE = "noise_share"
CHURN = "churn"
"""Metric of a report: share of known users whom the candidate would move to another segment. Absent counts as 0."""
UNKNOWN, SILENT, VARIANCE = "basis.unknown.", "basis.silent.", "basis.variance"
"""Metrics of a representation kept from the champion: what it does not know, sees less of, and how much it keeps."""
WORDS = {LIFT: "held-out lift on the validation slice", SILHOUETTE: "silhouette"}
"""What the reasons call a measure."""


def refusals(report: EvaluationReport, config: SelectConfig) -> tuple[str, ...]:
    """Why a candidate may not be chosen, in words and numbers; empty: it may.

    Reads the metrics `noise_share`, `balance` (details count, smallest_users, largest_share) and `basis.*`; one that
    was not measured refuses nothing, one that came out missing does.
    """
    found = _uncovered(report, config)
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


def _uncovered(report: EvaluationReport, config: SelectConfig) -> list[str]:
    """In what the representation that a candidate keeps does not cover today's data."""
    shares = {name: metric.value or 0.0 for name, metric in report.metrics.items()}
    told = "the champion's representation"
    found = [
        f"{told} does not know {share:.1%} of {name.removeprefix(UNKNOWN)}, more than {config.max_unknown:.1%}"
        for name, share in shares.items()
        if name.startswith(UNKNOWN) and share > config.max_unknown
    ]
    found += [
        f"{told} sees nothing in {name.removeprefix(SILENT)} of {share:.1%} of the users whom a fresh one sees, more "
        f"than {config.max_silent:.1%}"
        for name, share in shares.items()
        if name.startswith(SILENT) and share > config.max_silent
    ]
    if VARIANCE in shares and shares[VARIANCE] < config.min_variance:
        kept = f"keeps {shares[VARIANCE]:.1%} of the variance that a fresh one would, less than"
        found.append(f"{told} {kept} {config.min_variance:.1%}")
    return found


def choose(
    reports: Sequence[EvaluationReport], config: SelectConfig, compare: Compare | None = None, measure: str = LIFT
) -> Choice:
    """Choose a candidate by the rule above.

    Args:
        reports: One per candidate; what a report already refuses stays refused.
        config: Bounds, tie and the price of churn.
        compare: Paired differences of held-out lift; None: only values within `tie` are ties.
        measure: Metric to choose by, higher is better.

    Raises:
        DataError: There are no candidates, two have one name, or all are refused (each with its reasons).
    """
    names = [report.candidate for report in reports]
    if not names or len(set(names)) < len(names):
        raise DataError(f"candidates must be named apart, and at least one is needed; got {names}")
    refused = {r.candidate: tuple(dict.fromkeys((*r.refused, *refusals(r, config)))) for r in reports}
    refused = {name: reasons for name, reasons in refused.items() if reasons}
    refused |= _overasked([report for report in reports if report.candidate not in refused])
    left = [report for report in reports if report.candidate not in refused]
    if not left:
        listed = " | ".join(f"{name}: {'; '.join(reasons)}" for name, reasons in refused.items())
        raise DataError(f"every candidate was refused; widen the search or the bounds of select. {listed}")
    used = measure if any(_value(report, measure) is not None for report in left) else SILHOUETTE
    priced = {report.candidate: _priced(report, used, config) for report in left}
    tied = _ties(left, priced, config, compare if used == measure else None, used)
    ranking = rank(left, priced, tied)
    return Choice(
        chosen=ranking[0].candidate,
        reason=explain(ranking, priced, used, measure, tied),
        ranking=tuple(report.candidate for report in ranking),
        refused=refused,
        pareto=pareto(left, (used, SILHOUETTE, STABILITY, BALANCE)),
    )


def _overasked(reports: Sequence[EvaluationReport]) -> dict[str, tuple[str, ...]]:
    """Candidates that asked for more segments than they found, where another asked for just those."""
    exact = {one.partition: one.candidate for one in reversed(reports) if one.partition and _missing(one) == 0}
    return {
        one.candidate: (
            f"asked for {one.params['k']} segments and makes the {_count(one)} of {exact[one.partition]}: there are no "
            "more kinds of users",
        )
        for one in reports
        if one.partition in exact and _missing(one)
    }


def _missing(report: EvaluationReport) -> int | None:
    """Segments that were asked for and not found; None where the algorithm decides how many there are."""
    asked, found = report.params.get("k"), _count(report)
    return None if asked is None or found is None or report.params.get("height") else max(asked - found, 0)


def _count(report: EvaluationReport) -> int | None:
    sizes = report.metrics.get(BALANCE)
    return None if sizes is None else sizes.details.get("count")


def merit(report: EvaluationReport, measure: str) -> float | None:
    """What a search maximises, on one scale for the whole study; None: refused, or without the measure."""
    return None if report.refused else _value(report, measure)


Tied = Callable[[str, str], bool]
"""Names of the best of some candidates and of another: whether chance cannot tell them apart."""


def _ties(
    reports: Sequence[EvaluationReport],
    priced: dict[str, float],
    config: SelectConfig,
    compare: Compare | None,
    used: str,
) -> Tied:
    paid = {r.candidate: (_value(r, used) or 0.0) - priced[r.candidate] for r in reports}

    def tied(best: str, other: str) -> bool:
        if best == other or _close(priced[other], priced[best], config.tie):
            return True
        gap = compare(best, other) if compare is not None and priced[other] > float("-inf") else None
        return gap is not None and gap.low - paid[best] + paid[other] <= 0

    return tied


def rank(reports: Sequence[EvaluationReport], values: dict[str, float], tied: Tied) -> list[EvaluationReport]:
    """Best first: again and again the best of what is left, ties with it by `_tiebreak`."""
    left, ranking = list(reports), []
    while left:
        best = max(left, key=lambda report: values[report.candidate]).candidate
        ranking.append(min((report for report in left if tied(best, report.candidate)), key=_tiebreak))
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


def explain(ranking: Sequence[EvaluationReport], priced: dict[str, float], used: str, measure: str, tied: Tied) -> str:
    """One paragraph: what the chosen one measured, against whom, and which step of the rule decided."""
    first, rest = ranking[0], ranking[1:]
    name = WORDS.get(used, used)
    words = [f"{first.candidate} was chosen by {name}, {_shown(_value(first, used))}, among {len(ranking)} candidates."]
    if _missing(first):
        words.append(f"It asked for {first.params['k']} segments; the users make only {_count(first)}.")
    if used != measure:
        words.append(f"No candidate has {WORDS.get(measure, measure)}, so {name} decided.")
    best = max(ranking, key=lambda report: priced[report.candidate]).candidate
    if alike := [report for report in rest if tied(best, report.candidate)]:
        words.append(_told_apart(first, alike, used))
    elif rest:
        words.append(f"Next is {rest[0].candidate} with {_shown(_value(rest[0], used))}.")
    return " ".join([*words, *_lowered(ranking, priced, used)])


def _told_apart(first: EvaluationReport, tied: Sequence[EvaluationReport], used: str) -> str:
    """How a tie was broken."""
    others = ", ".join(f"{r.candidate} ({_measures(r, used)})" for r in tied)
    return (
        f"Other users or another seed could have put {others} first: a tie, which goes to fewer segments, then to "
        f"what is live already, then to the more stable, then to the first by name: {_measures(first, used)}."
    )


def _lowered(ranking: Sequence[EvaluationReport], priced: dict[str, float], used: str) -> list[str]:
    """Which candidates pay for users they move, and how much."""
    found = []
    for report in ranking:
        value, counted = _value(report, used), priced[report.candidate]
        if value is not None and counted < value:
            found.append(f"{report.candidate} {_shown(value)} as {_shown(counted)} ({_churn(report):.1%} moved)")
    return [f"Lowered for the known users that they move: {'; '.join(found)}."] if found else []


def _priced(report: EvaluationReport, used: str, config: SelectConfig) -> float:
    """The measure less the price of the known users that a candidate would move."""
    value = _value(report, used)
    return float("-inf") if value is None else value - config.churn_price * _churn(report)


def _value(report: EvaluationReport, name: str) -> float | None:
    """A metric's value; silhouette under cosine for all, because values of different spaces don't compare."""
    metric = report.metrics.get(name)
    if metric is None or metric.value is None:
        return None
    return float(metric.details.get("cosine", metric.value)) if name == SILHOUETTE else metric.value


def _churn(report: EvaluationReport) -> float:
    return report.value(CHURN) or 0.0


def _close(value: float, best: float, tie: float) -> bool:
    return value == best or best - value <= tie * abs(best) + 1e-12  # rounding decides no tie


def _tiebreak(report: EvaluationReport) -> tuple[float, bool, float, str]:
    live_already = not report.warm and report.value(CHURN) == 0
    stable, count = report.value(STABILITY), _count(report)
    return (
        float("inf") if count is None else float(count),
        not live_already,
        float("inf") if stable is None else -stable,
        report.candidate,
    )


def _shown(value: float | None) -> str:
    return "missing" if value is None else f"{value:.4f}"


def _measures(report: EvaluationReport, used: str) -> str:
    count = "?" if _count(report) is None else _count(report)
    name = "lift" if used == LIFT else used
    return f"{name} {_shown(_value(report, used))}, stability {_shown(report.value(STABILITY))}, {count} segments"
