"""The report of a retrain: one self-contained HTML page, no script, nothing fetched."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from schemas.reports import (
    Accounting,
    Choice,
    EvaluationReport,
    Lineage,
    Report,
    SegmentProfile,
    ValidationReport,
    Verdict,
)
from schemas.runs import Proof

if TYPE_CHECKING:
    from jinja2 import Template


class SetAside(Report):
    """How many rows were set aside for one reason."""

    table: str
    column: str
    reason: str
    rows: int


class ReportView(Report):
    """Everything the page shows; what is absent is left out."""

    segmentation: str
    as_of: str
    model_version: str
    run_id: str
    profiles: tuple[SegmentProfile, ...]
    evaluations: tuple[EvaluationReport, ...]
    choice: Choice
    verdict: Verdict
    lineage: Lineage
    proof: Proof | None = None
    accounts: tuple[Accounting, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    validations: tuple[ValidationReport, ...] = ()
    figures: dict[str, str] = Field(default_factory=dict, description="caption -> SVG")


@lru_cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda value: "–" if value is None else f"{value:.1%}"
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:.4g}"
    return environment.from_string((Path(__file__).parent / "report.html").read_text(encoding="utf-8"))


def render(view: ReportView) -> str:
    """The page as HTML; every text in it is escaped, figures are trusted SVG of our own."""
    return _template().render(view=view)
