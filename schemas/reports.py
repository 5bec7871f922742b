"""Small reports that nouns return and verbs pass on, log and publish."""

import math
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.artifacts import ArtifactRef


class Report(BaseModel):
    """Base of all reports: frozen, JSON-ready, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RuleResult(Report):
    """One expectation, as it came out."""

    rule: str = Field(description="name, such as events.timestamp_window")
    table: str
    column: str | None = None
    severity: Literal["error", "quarantine", "warn"]
    passed: bool
    checked: int = Field(description="rows or groups that were looked at")
    failed: int = Field(description="how many broke the rule")
    observed: str = Field("", description="what was measured, in words and numbers; never row values")
    bound: str = Field("", description="what the rule asks")


class ValidationReport(Report):
    """All rules of one hand-over."""

    stage: str = Field(description="raw, features or published")
    results: tuple[RuleResult, ...]
    docs: str | None = Field(None, description="path of the Data Docs page")

    @property
    def passed(self) -> bool:
        """Whether no rule of severity error failed."""
        return not self.errors

    @property
    def errors(self) -> tuple[RuleResult, ...]:
        """The failed rules that stop a run."""
        return tuple(r for r in self.results if not r.passed and r.severity == "error")


class Accounting(Report):
    """Rows of one table: in = accepted + quarantined + deduplicated."""

    table: str
    read: int
    accepted: int
    quarantined: int
    deduplicated: int

    @property
    def balanced(self) -> bool:
        """Whether every row is accounted for."""
        return self.read == self.accepted + self.quarantined + self.deduplicated


class Metric(Report):
    """One number about a candidate, and what it means.

    Missing is `value=None` with a `reason`; NaN and infinity are never stored.
    """

    name: str = Field(description="stable name, such as silhouette.cosine")
    value: float | None
    n: int = Field(description="users (or items) it was measured on")
    interval: tuple[float, float] | None = Field(None, description="95 % confidence interval")
    space: str | None = Field(None, description="metric space: cosine, euclidean, sqeuclidean")
    seed: int | None = None
    sampled: bool = Field(False, description="measured on a sample rather than on all")
    noise_share: float = Field(0.0, description="share of users without a segment, who are left out")
    reason: str | None = Field(None, description="why it is missing")
    details: dict[str, Any] = Field(default_factory=dict, description="small further JSON, such as per-segment values")

    @classmethod
    def of(cls, name: str, value: float, n: int, **rest: Any) -> "Metric":
        """A metric from a float; NaN and infinity become missing."""
        if value is None or not math.isfinite(value):
            return cls(name=name, value=None, n=n, **{"reason": f"not finite: {value}", **rest})
        return cls(name=name, value=float(value), n=n, **rest)


class Difference(Report):
    """One side minus another, measured on the same users, with what other users or another seed could have made it."""

    value: float
    low: float = Field(description="lower end of the 95 % interval")
    high: float = Field(description="upper end of it")
    n: int = Field(description="users, or repeats, that were compared in pairs")
    base: float = Field(description="the other side's own figure")

    def scaled(self, unit: float) -> "Difference":
        """The same in another unit: every figure divided by `unit`."""
        figures = {name: getattr(self, name) / unit for name in ("value", "low", "high", "base")}
        return self.model_copy(update=figures)


class EvaluationReport(Report):
    """Everything measured about one candidate."""

    candidate: str = Field(description="readable name, such as kmeans-k20")
    kind: str
    params: dict[str, Any]
    metrics: dict[str, Metric]
    refused: tuple[str, ...] = Field((), description="why the candidate may not be chosen; empty: it may")
    warm: bool = Field(False, description="started from the champion")
    hits: ArtifactRef | None = Field(None, description="every user's hits on the validation slice; None: not measured")
    partition: str = Field("", description="digest of who is with whom: of two candidates equal where all of it is")
    warnings: tuple[str, ...] = Field((), description="what the fit itself found odd, such as a segment of one outlier")

    def value(self, name: str) -> float | None:
        """Value of a metric, or of a figure among its details such as `silhouette.cosine`; None where it is missing."""
        name, _, detail = name.partition(".")
        metric = self.metrics.get(name)
        if metric is None or metric.value is None or not detail:
            return None if metric is None else metric.value
        return metric.details.get(detail, metric.value if metric.space == detail else None)


class Choice(Report):
    """Which candidate was chosen, and why."""

    chosen: str
    reason: str
    ranking: tuple[str, ...] = Field(description="candidates that were not refused, best first")
    refused: dict[str, tuple[str, ...]]
    pareto: tuple[str, ...] = Field((), description="candidates that no other beats in every measure")


class Claim(Report):
    """One thing that sets a segment apart from its siblings, as measured.

    Shares (category, item, term, trait) compare by their ratio, features by their standardised difference.
    """

    kind: Literal["category", "term", "trait", "feature", "item"]
    key: str = Field(description="category, item id, term, or family.column")
    label: str = Field(description="the key in words")
    inside: float = Field(description="share, or mean, in the segment")
    elsewhere: float = Field(description="share, or mean, in all other segments together")
    lift: float = Field(description="ratio of the shares, or difference of the means in pooled standard deviations")
    low: float = Field(description="the end of the lift's 95 % interval that is nearer to no lift")
    effect: float = Field(description="Cohen's h or |d| at `low`: 0.2 is small, 0.5 medium, 0.8 large")
    text: str = Field(description="the claim as a sentence with its figures")


class SegmentProfile(Report):
    """What a segment is, each claim with its measured lift against the sibling segments."""

    segment_id: str
    name: str
    size: int
    share: float
    evidence: tuple[str, ...] = Field((), description="the claims in words, most telling first")
    claims: tuple[Claim, ...] = Field((), description="the claims in numbers, in the same order")
    top_categories: tuple[str, ...] = ()
    top_items: tuple[str, ...] = ()
    features: dict[str, float] = Field(
        default_factory=dict, description="most telling features: standardised difference"
    )
    silhouette: float | None = None
    cites: tuple[str, ...] | None = Field(None, description="claims that the name is made of; None: a person's name")
    renamed: str | None = Field(None, description="the name before, which its evidence does not say any more")
    note: str | None = Field(None, description="what a person has to say of it")
    colour: str | None = Field(
        None, description="which it keeps for as long as it lives; earlier versions recorded none"
    )

    @property
    def unclear(self) -> bool:
        """Whether its name is one of last resort: it is made of no claim, and no person gave it."""
        return self.cites == ()


class Change(Report):
    """One line of a lineage."""

    kind: Literal["continued", "split", "merged", "born", "died"]
    old: tuple[str, ...] = Field(description="ids of the champion's segments involved")
    new: tuple[str, ...] = Field(description="ids of the new segments involved")
    overlap: float | None = Field(None, description="share of the old members who are in the new segments")
    cosine: float | None = Field(None, description="cosine of the centroids, in one space")


class Lineage(Report):
    """How new clusters relate to the champion's segments."""

    ids: tuple[str, ...] = Field(description="segment id of each cluster 0..k-1")
    changes: tuple[Change, ...]
    next_number: int = Field(description="the first number never used in an id; ids are never reused")
    moved_share: float | None = Field(None, description="share of unchanged users whose segment id changed")


class Gate(Report):
    """One gate: measured against its bound."""

    name: str
    passed: bool
    measured: float | None
    bound: str
    why: str
    compared: bool = Field(True, description="whether it compared anything; a gate with nothing to compare lets pass")


class Verdict(Report):
    """Whether a candidate may replace the champion. Refusal is the default."""

    promoted: bool
    gates: tuple[Gate, ...]
    override: str | None = Field(None, description="who overrode a refusal, and the reason given")
    decided_at: datetime | None = None

    @property
    def failures(self) -> tuple[Gate, ...]:
        """The gates that were not passed."""
        return tuple(gate for gate in self.gates if not gate.passed)

    @property
    def counted(self) -> str:
        """How many gates were passed, of those that compared something."""
        asked = [gate for gate in self.gates if gate.compared]
        silent = len(self.gates) - len(asked)
        passed = f"{sum(gate.passed for gate in asked)} of {len(asked)} gates passed"
        return passed + (f", {silent} had nothing to compare" if silent else "")
