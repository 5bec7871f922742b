"""Ways to recommend side by side, in the words of the report."""

from typing import NamedTuple

from schemas.reports import Difference
from schemas.yardsticks import BY_GROUP, SEGMENTS, Way, Yardsticks
from tasks.phrases.words import Words, catalogue

SHOWN = ("precision", "recall", "ndcg", "coverage", "longtail")
_VERDICTS = {"helps": "beside.verdict_helps", "no evidence": "beside.verdict_silent", "hurts": "beside.verdict_hurts"}


class WayRow(NamedTuple):
    """A row of the table."""

    name: str
    values: tuple[float | None, ...]
    lift: Difference | None
    saying: str | None
    ours: bool


def called(name: str, say: Words) -> str:
    """A way in words; one of another package by its own name."""
    return say(f"ways.{name}") if f"ways.{name}" in catalogue() else name


def ranked(told: Yardsticks) -> list[Way]:
    """All ways, the most precise first."""
    return sorted(told.ways, key=lambda way: -way.figures.get("precision", 0.0))


def ways(told: Yardsticks, say: Words) -> list[WayRow]:
    """The rows of the table."""
    return [
        WayRow(
            called(way.name, say),
            tuple(way.figures.get(measure) for measure in SHOWN),
            None if way.against is None else way.against.lift,
            None if way.against is None else way.against.saying,
            way.name == SEGMENTS,
        )
        for way in ranked(told)
    ]


def verdict(told: Yardsticks, say: Words) -> tuple[bool, str]:
    """Whether recommending by segment helps, and how to say so."""
    ours = told.way(SEGMENTS)
    if ours is None or ours.against is None:
        return False, ""
    lift = ours.against.lift
    said = say(_VERDICTS[ours.against.saying], lift=lift.value, low=lift.low, high=lift.high)
    return ours.against.saying == "helps", said


def said(told: Yardsticks, say: Words) -> str:
    """The protocol and what came of it, in one line."""
    return say("beside.said", protocol=say(f"beside.{told.protocol}"), verdict=verdict(told, say)[1])


def best(told: Yardsticks, say: Words) -> str | None:
    """How far segments go of what the best list for each user by itself reaches; None where none helps."""
    ours = told.way(SEGMENTS)
    for way in ranked(told):
        if way.name in BY_GROUP or way.against is None or way.against.saying != "helps":
            continue
        if ours is not None and ours.against is not None:
            share = ours.against.gap.value / way.against.gap.value
            return say("beside.best", name=called(way.name, say), lift=way.against.lift.value, share=share)
    return None
