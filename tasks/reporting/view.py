"""The report of a retrain: one self-contained HTML page, no script, nothing fetched."""

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from schemas.gates import CHAMPION, MODEL, RECIPE, UNSEEN, GroupFigures
from schemas.reports import (
    Accounting,
    Choice,
    EvaluationReport,
    Lineage,
    Metric,
    Report,
    RuleResult,
    SegmentProfile,
    ValidationReport,
    Verdict,
)
from schemas.yardsticks import Yardsticks
from tasks.phrases.words import ENGLISH, Words
from tasks.reporting import beside

if TYPE_CHECKING:
    from jinja2 import Template

Interval = tuple[float, float] | None
MEASURES = ("precision", "recall", "coverage")
COLUMNS = (
    "heldout_lift",
    "stability",
    "silhouette.cosine",
    "wcss",
    "davies_bouldin",
    "calinski_harabasz",
    "balance",
    "noise_share",
    "churn",
)
"""Metrics of the candidates' table; one that no candidate has is left out."""


class SetAside(Report):
    """How many rows were set aside for one reason."""

    table: str
    column: str
    reason: str
    rows: int


class Picture(Report):
    """A figure of the page."""

    caption: str
    svg: str = Field(description="drawn by figures.svg: trusted")
    place: str = Field("quality", description="section it stands in: segments, beside, quality or candidates")


class ReportView(Report):
    """Everything the page shows; what is absent is left out."""

    language: Literal["en", "zh"] = "en"
    segmentation: str
    as_of: str
    model_version: str
    run_id: str
    profiles: tuple[SegmentProfile, ...]
    assigned: dict[str | None, int] = Field(
        default_factory=dict, description="segment id -> users in the table of assignments; None: those without one"
    )
    evaluations: tuple[EvaluationReport, ...]
    choice: Choice
    verdict: Verdict
    lineage: Lineage
    lifts: dict[str, Metric] = Field(default_factory=dict, description="held-out figures, by the names of the gates")
    yardsticks: tuple[Yardsticks, ...] = Field((), description="ways to recommend beside the segments, by protocol")
    groups: dict[str, dict[str, GroupFigures]] = Field(default_factory=dict, description="of the declared columns")
    accounts: tuple[Accounting, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    validations: tuple[ValidationReport, ...] = ()
    docs: dict[str, str] = Field(default_factory=dict, description="stage -> link to its Data Docs")
    pictures: tuple[Picture, ...] = ()
    warning: str | None = Field(None, description="of segments whose names say nothing")

    @property
    def chosen(self) -> EvaluationReport | None:
        """The chosen candidate's figures."""
        return next((one for one in self.evaluations if one.candidate == self.choice.chosen), None)

    @property
    def ranked(self) -> tuple[EvaluationReport, ...]:
        """The candidates as the choice ranks them, best first, then the refused ones."""
        place = {name: number for number, name in enumerate(self.choice.ranking)}
        return tuple(sorted(self.evaluations, key=lambda one: place.get(one.candidate, len(place))))

    @property
    def recipe(self) -> Metric | None:
        """Held-out figures of the recipe: what the page calls the proof."""
        return self.lifts.get(RECIPE)

    @property
    def users(self) -> int:
        """Users with a segment."""
        counted = {name: users for name, users in self.assigned.items() if name is not None}
        return sum(counted.values()) if self.assigned else sum(profile.size for profile in self.profiles)

    @property
    def without(self) -> float | None:
        """Share of the users without a segment."""
        if self.assigned:
            return self.assigned.get(None, 0) / max(1, sum(self.assigned.values()))
        return self.chosen.value("noise_share") if self.chosen else None

    @property
    def space(self) -> str | None:
        """What the segments' own silhouettes were measured in."""
        metric = self.chosen.metrics.get("silhouette") if self.chosen else None
        return None if metric is None else metric.details.get("segments_space", metric.space)

    @property
    def related(self) -> bool:
        """Whether there are segments of a version before to compare with."""
        return any(change.old for change in self.lineage.changes)

    @property
    def columns(self) -> tuple[str, ...]:
        """Metrics that at least one candidate has."""
        return tuple(name for name in COLUMNS if any(e.value(name) is not None for e in self.evaluations))

    @property
    def rules(self) -> tuple[tuple[str, RuleResult], ...]:
        """Stage and rule of every expectation, failed ones first, then by severity."""
        weight = {"error": 0, "quarantine": 1, "warn": 2}
        pairs = ((report.stage, rule) for report in self.validations for rule in report.results)
        return tuple(sorted(pairs, key=lambda pair: (pair[1].passed, weight[pair[1].severity])))


class Row(NamedTuple):
    """One way to recommend, and what it reached on the held-out slice."""

    name: str
    values: tuple[float | None, ...]
    intervals: tuple[Interval, ...]
    ours: bool = False


WAYS = {
    RECIPE: "proof.recipe",
    MODEL: "proof.model",
    f"{CHAMPION}{RECIPE}": "proof.champion_recipe",
    f"{CHAMPION}{MODEL}": "proof.champion_model",
}
"""Phrases for the ways to recommend by segment."""


def rows(lifts: Mapping[str, Metric], say: Words = ENGLISH) -> list[Row]:
    """Ways to recommend, by precision, recall and coverage: by segments, by chance and by popularity."""

    def row(name: str, metric: Metric, prefix: str = "", ours: bool = False) -> Row:
        keys, ends = [f"{prefix}{measure}" for measure in MEASURES], metric.details.get("intervals", {})
        return Row(name, tuple(metric.details.get(key) for key in keys), tuple(ends.get(key) for key in keys), ours)

    known = [(way, lifts[way]) for way in WAYS if way in lifts]
    found = [row(say(WAYS[way], seen=one.details.get("seen", 1.0)), one, ours=way == RECIPE) for way, one in known]
    if RECIPE in lifts:
        found.append(row(say("proof.popular"), lifts[RECIPE], "global_"))
        found.append(row(say("proof.random"), lifts[RECIPE], "random_"))
    return found


def unseen(lifts: Mapping[str, Metric], say: Words = ENGLISH) -> str | None:
    """What came of what the champion has not seen; None where that was not measured."""
    ours, theirs = lifts.get(UNSEEN), lifts.get(f"{CHAMPION}{UNSEEN}")
    if ours is None or theirs is None or ours.value is None or theirs.value is None:
        return None
    return say("proof.unseen", users=ours.n, ours=ours.value, theirs=theirs.value)


def sentence(heldout: Metric, say: Words = ENGLISH) -> tuple[bool, str]:
    """Whether the segments help, and how to say so plainly.

    They help when the whole 95 % interval of the lift over global popularity lies above 0, and that of the lift over
    random segments of the same sizes too (where it was measured).
    """
    if heldout.value is None:
        why = say.told(heldout.reason) if heldout.reason else say("proof.silent")
        return False, say("proof.missing", why=why)
    over = heldout.details.get("intervals", {}).get("lift_over_random_precision")
    found = say("proof.more" if heldout.value >= 0 else "proof.fewer", lift=abs(heldout.value))
    if heldout.interval:
        found += say("proof.interval", low=heldout.interval[0], high=heldout.interval[1])
    if heldout.interval is None or heldout.interval[0] <= 0:
        return False, say("proof.chance", found=found)
    if over is not None and over[0] <= 0:
        return False, say("proof.no_better", found=found, low=over[0], high=over[1])
    return True, say("proof.help", found=found)


def figure(value: float) -> str:
    """A number of a table: counts whole, else three decimals below 10 and one above, so that columns line up."""
    if math.isfinite(value) and value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"


@lru_cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda value: "–" if value is None else f"{value:.1%}"
    environment.filters["number"] = lambda value: "–" if value is None else figure(value)
    environment.filters["whole"] = lambda value: f"{value:,}"
    environment.globals.update(beside=beside, rows=rows, sentence=sentence, unseen=unseen, measures=MEASURES)
    return environment.from_string((Path(__file__).parent / "report.html").read_text(encoding="utf-8"))


def render(view: ReportView) -> str:
    """The page as HTML; every text in it is escaped, figures are trusted SVG of our own."""
    say = Words(view.language)

    def span(ends: Interval) -> str:
        return say("page.span", low=figure(ends[0]), high=figure(ends[1])) if ends else ""

    def spread(middle: float | None, low: float | None, high: float | None) -> str:
        if middle is None or low is None or high is None:
            return "–"
        return say("page.spread", middle=figure(middle), span=span((low, high)))

    return _template().render(view=view, say=say, told=say.told, span=span, spread=spread)
