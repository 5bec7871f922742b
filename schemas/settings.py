"""Everything a retrain depends on, as its verbs see it: the fixed sections, and plugins by their own configs.

flows/config.py narrows the plugins' fields to the kinds that are found; forms and YAML files are read into that.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field, field_validator

from schemas.config import (
    SEGMENTATION,
    CalibrationConfig,
    DescribeConfig,
    EvaluateConfig,
    IdentityConfig,
    IngestConfig,
    LedgerConfig,
    Positive,
    RepresentConfig,
    Section,
    SelectConfig,
    Share,
    TextsConfig,
    ValidateConfig,
)
from schemas.execution import ExecutionConfig
from schemas.gates import GateConfig


class SearchItem(Section):
    """One algorithm and the parameter values to try: a candidate for every combination."""

    algorithm: Section = Field(description="a clustering algorithm and its parameters")
    grid: dict[str, list[Any]] = Field(
        default_factory=dict, description="parameter -> values to try, such as k: [10, 20]; all combinations are tried"
    )


class SearchConfig(Section):
    """Which candidates compete."""

    candidates: tuple[SearchItem, ...] = Field(description="algorithms and the values of their parameters to try")
    mode: Literal["grid", "random", "tpe"] = Field(
        "grid",
        description="all combinations, a seeded random choice, or each chosen by what the ones before it measured "
        "(tree-structured Parzen estimator; needs the extra `search`)",
    )
    limit: int | None = Field(None, ge=1, description="candidates tried at most in modes random and tpe; none: all")
    warm: bool = Field(True, description="let candidates that start from the champion compete beside fresh ones")


class RulesConfig(Section):
    """What lists keep to beside the scores; by default nothing."""

    relevance: Share = Field(
        1.0, description="weight of an item's score against its likeness to those above it; 1: the scores alone"
    )
    tail_share: Share = Field(
        0.0,
        description="least share of each list outside the head of the catalogue: the fewest items that make up 80 % of "
        "all choices",
    )
    never: tuple[str, ...] = Field((), description="ids of items that are not recommended")
    always: tuple[str, ...] = Field((), description="ids of items that head every list, in this order")
    at_most: Positive | None = Field(None, description="items of any one category in a list; none: any number")
    pool: Positive = Field(10, description="candidates that a list is made from, times its length")

    @property
    def silent(self) -> bool:
        """Whether they ask for nothing."""
        return self == RulesConfig(pool=self.pool)


class RecommendConfig(Section):
    """What is recommended to whom."""

    recommender: Section = Field(description="how items are ranked for a segment or a user")
    n: Positive = Field(20, description="items recommended at most")
    per_user: bool = Field(False, description="also publish a list for each user")
    exclude_seen: bool = Field(
        True, description="leave out of a user's list what the user has chosen before; off where purchases repeat"
    )
    rules: RulesConfig = Field(default_factory=RulesConfig, description="what lists keep to beside the scores")


class Settings(Section):
    """Everything a retrain depends on."""

    segmentation: str = Field(
        pattern=SEGMENTATION, description="name of the segmentation: its MLflow experiment and model"
    )
    seed: int = Field(7, ge=0, description="seed of every random choice")
    as_of: datetime | None = Field(None, description="UTC moment to look at; none: the newest event")
    source: Section = Field(description="where the data comes from")
    ingest: IngestConfig = Field(default_factory=IngestConfig, description="how source rows become tables")
    validation: ValidateConfig = Field(
        default_factory=ValidateConfig, description="thresholds of the checks at each hand-over"
    )
    features: tuple[Section, ...] = Field(description="feature families; one whose table is missing is switched off")
    texts: TextsConfig | None = Field(None, description="which texts speak for a user; none: no language model")
    encoder: Section = Field(description="the language model")
    behaviour_encoders: tuple[Section, ...] = Field(
        (), description="models that learn from what users did, in order; each is one more block of a user's vector"
    )
    represent: RepresentConfig = Field(
        default_factory=RepresentConfig, description="from feature blocks to one vector per user"
    )
    search: SearchConfig = Field(description="candidates that compete")
    evaluate: EvaluateConfig = Field(
        default_factory=EvaluateConfig, description="what is measured about every candidate"
    )
    select: SelectConfig = Field(default_factory=SelectConfig, description="which candidate is chosen")
    identity: IdentityConfig = Field(default_factory=IdentityConfig, description="when a new cluster is an old segment")
    describe: DescribeConfig = Field(default_factory=DescribeConfig, description="how segments are named and explained")
    calibration: CalibrationConfig = Field(
        default_factory=CalibrationConfig, description="how sure an assignment is, and what thin users get"
    )
    gates: GateConfig = Field(default_factory=GateConfig, description="what a candidate must pass to become live")
    recommend: RecommendConfig = Field(description="what is recommended to whom")
    execution: ExecutionConfig = Field(default_factory=ExecutionConfig, description="where the work runs")
    ledger: LedgerConfig = Field(default_factory=LedgerConfig, description="where runs and models are recorded")

    @field_validator("as_of")
    @classmethod
    def _utc(cls, moment: datetime | None) -> datetime | None:
        """A moment without a zone, such as 2026-01-31, is UTC; one of another zone is told in UTC."""
        return moment if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)

    def known_columns(self) -> set[str]:
        """Users columns that hold known labels, to compare segments with or to learn from: no feature may see them."""
        items = self.search.candidates
        learned = {name for i in items for name in [getattr(i.algorithm, "column", ""), *i.grid.get("column", [])]}
        return (learned | {self.evaluate.truth_column or ""}) - {""}
