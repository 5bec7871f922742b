"""Recommendations without a flow: segments that are live, and a day on which items are ranked for them."""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from schemas.artifacts import ArtifactRef
from schemas.recommended import Recommended
from schemas.reports import ValidationReport
from schemas.tables import ASSIGNMENTS, EVENTS, SEGMENTS
from tasks.recommendations.lists import recommended
from tasks.recommendations.publish import publish
from tasks.stores import pointer, tables
from tasks.stores.book import Day
from tasks.validation.handover import check
from tests.helpers.days import a_day
from tests.helpers.landed_tables import written

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "demo"


def landed(place: Path, pairs: list[tuple[str, str]], event: str = "buy", others: list[tuple[str, str]] | None = None):
    """Tables of users and of their choices, in three buckets; `others` are events of the name view."""
    rows = [(*pair, event) for pair in pairs] + [(*pair, "view") for pair in others or []]
    frame = pl.DataFrame(
        [(user, item, name, AS_OF, None, n) for n, (user, item, name) in enumerate(rows)],
        schema=EVENTS.polars_schema(), orient="row",
    )  # fmt: skip
    split = pl.col("user_id").str.extract(r"(\d+)").cast(pl.Int64) % 3
    users = pl.DataFrame({"user_id": [f"u{n}" for n in range(12)]})
    parts = [{"events": frame.filter(split == part), "users": users.filter(split == part)} for part in range(3)]
    return written(place / "tables", parts)


def planted() -> tuple[list[tuple[str, str]], dict[str, str | None]]:
    """u0 to u4 like a to d, u5 to u9 like x to z, and some of both have the popular p; u10 and u11 have no segment."""
    pairs = [(f"u{n}", item) for n in range(5) for item in "abcd"[: 4 - n % 3]]
    pairs += [(f"u{n}", item) for n in range(5, 10) for item in "xyz"[: 3 - n % 2]]
    pairs += [(f"u{n}", "p") for n in (0, 1, 2, 5, 6, 7, 10)]
    segments = {f"u{n}": ("s001" if n < 5 else "s002" if n < 10 else None) for n in range(11)}  # u11 is new
    return pairs, segments


class Noted:
    """A ledger that only remembers metrics."""

    def __init__(self) -> None:
        self.told: dict[str, float] = {}

    def metrics(self, run_id: str, values: Mapping[str, float]) -> None:
        self.told |= values


def live_segments(
    home: Path, segments: Mapping[str, str | None], version: str = "1", names: Mapping[str, str] | None = None
) -> pointer.Pointer:
    """Makes assignments live, user -> segment, as if a model of a version had made them."""
    common = {"model_version": version, "as_of": AS_OF}
    placed = [
        {"user_id": user, "segment_id": one, "status": "assigned" if one else "unassigned", "confidence": 0.5,
         "distance": 1.0, "second_segment_id": None, "reasons": [], **common}
        for user, one in segments.items()
    ]  # fmt: skip
    users = pl.DataFrame(placed, schema=ASSIGNMENTS.polars_schema())
    ids = sorted({one for one in segments.values() if one} | {*(names or {})})
    rows = [{"segment_id": one, "name": (names or {}).get(one, f"Segment {one}"), "size": 1, "share": 0.5,
             "evidence": [], "top_categories": [], "top_items": [], **common} for one in ids]  # fmt: skip
    made = {
        ASSIGNMENTS.name: tables.publish(str(home), NAME, ASSIGNMENTS.name, users),
        SEGMENTS.name: tables.publish(
            str(home), NAME, SEGMENTS.name, pl.DataFrame(rows, schema=SEGMENTS.polars_schema())
        ),
    }
    revision = pointer.read(str(home), NAME).revision
    with pointer.changing(str(home), NAME, revision) as current:
        live = pointer.Live(
            model_version=version, bundle="b", sha256=version * 64, run_id="r", tables=made, users=len(users),
            sums=tables.sums(str(home), NAME, made), as_of=AS_OF, promoted_at=AS_OF,
        )  # fmt: skip
        return pointer.replace(str(home), NAME, current, live, current.live, ids)


def of_day(home: Path, refs: Mapping[str, ArtifactRef], as_of: datetime = AS_OF, **settings: Any) -> Day:
    """A run that looks at some tables, of what is live now."""
    revision = pointer.read(str(home), NAME).revision
    day = a_day(home, refs, as_of, name=NAME, revision=revision, **settings)
    return dataclasses.replace(day, ledger=Noted())


def recommend_day(
    home: Path, refs: Mapping[str, ArtifactRef], step: Callable[[str], None] = lambda _: None, **settings: Any
) -> Recommended:
    """What the flow does between ingest and its end, but for the validation.

    Args:
        home: The state folder.
        refs: Today's tables.
        step: Hears what is done, between which it may do the rest.
        settings: As in a config, and `as_of`.
    """
    day = of_day(home, refs, **settings)
    lists = recommended(day)
    step("recommend")
    told = publish(day, lists)
    step("publish")
    return told


def checked(home: Path, refs: Mapping[str, ArtifactRef], **settings: Any) -> ValidationReport:
    """What the flow's validation says of the lists of a day."""
    day = of_day(home, refs, **settings)
    return check("recommended", recommended(day).tables(), day.settings.validation, day.context, NAME)
