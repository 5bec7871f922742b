"""What came of a stage, in a few words and numbers.

A flow's file may register words for a type of its own (`@words.register`); what has none is told by its time alone.
"""

from collections import Counter
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from schemas.artifacts import Fitted
from schemas.gates import GateInput
from schemas.recommended import Lists, Recommended
from schemas.reports import Choice, EvaluationReport, Lineage, SegmentProfile, ValidationReport, Verdict
from schemas.runs import (
    Attempt,
    Built,
    Decided,
    Embedded,
    Proof,
    Publication,
    Recalled,
    Registered,
    Scored,
    Served,
    Slice,
    Standing,
    Unfit,
    Vectors,
)
from schemas.yardsticks import Yardsticks
from tasks.stores.book import Day

SEVERAL: dict[type, str] = {
    Attempt: "candidates",
    Unfit: "candidates",
    EvaluationReport: "candidates",
    Fitted: "families",
}
"""What several runs of one verb worked on, by what each of them made."""


def counted(results: Sequence[Any]) -> str:
    """What came of the runs of a stage."""
    if len(results) > 1:
        return f"{len(results)} {SEVERAL.get(type(results[0]), 'runs')}"
    return words(results[0]) if results else ""


@singledispatch
def words(made: object) -> str:
    """What one run made."""
    return ""


@words.register
def _(made: Day) -> str:
    aside = sum(one.quarantined for one in made.landed.accounts)
    tables = [f"{one.accepted:,} {one.table}" for one in made.landed.accounts if one.accepted]
    return ", ".join([*([f"{aside:,} rows set aside"] if aside else []), *tables])


@words.register
def _(made: ValidationReport) -> str:
    broken = sum(not one.passed for one in made.results)
    return f"{len(made.results)} expectations, {broken or 'none'} broken"


@words.register
def _(made: Yardsticks) -> str:
    return f"{len(made.ways)} ways to recommend to {made.users:,} users"


@words.register
def _(made: Slice) -> str:
    return f"{sum(table.rows for table in made.tables.values()):,} rows"


@words.register
def _(made: Fitted) -> str:
    return f"{made.output.rows:,} users"


@words.register
def _(made: Embedded) -> str:
    encoded = f"{made.misses:,} texts encoded, {made.hits:,} known"
    return encoded if made.tuning is None else f"{encoded}; {made.tuning.why}"


@words.register
def _(made: Vectors) -> str:
    return words(made.represented)


@words.register
def _(made: Standing) -> str:
    return f"version {made.version} on today's data"


@words.register
def _(made: Unfit) -> str:
    return f"cannot be fitted: {made.why}"


@words.register
def _(made: Choice) -> str:
    return f"{made.chosen} of {len(made.ranking) + len(made.refused)} candidates"


@words.register
def _(made: Proof) -> str:
    lift = made.recipe.metric.value
    return "not measured" if lift is None else f"{lift:+.1%} hits over global popularity"


@words.register
def _(made: Built | Publication | Scored) -> str:
    return f"{made.assignments.rows:,} users"


@words.register
def _(made: Lineage) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in Counter(change.kind for change in made.changes).items())


@words.register
def _(made: tuple) -> str:
    return f"{len(made)} segments" if made and isinstance(made[0], SegmentProfile) else ""


@words.register
def _(made: Registered) -> str:
    return f"version {made.version}{'' if made.new else ', registered before'}"


@words.register
def _(made: Recalled) -> str:
    return words(made.model)


@words.register
def _(made: GateInput) -> str:
    return f"{len(made.metrics)} figures"


@words.register
def _(made: Verdict) -> str:
    return made.counted


@words.register
def _(made: bool) -> str:
    return "live" if made else "refused"


@words.register
def _(made: Served) -> str:
    return f"{made.moved:,} users moved"


@words.register
def _(made: Lists) -> str:
    return ", ".join(f"{ref.rows:,} {name.replace('_', ' ')}" for name, ref in made.tables().items())


@words.register
def _(made: Recommended) -> str:
    return f"{made.segments:,} lists of segments" if made.model_version else "nothing"


@words.register
def _(made: Decided) -> str:
    return f"version {made.live} is live" if made.live else ""
