"""What the verbs of one retrain hand to one another: references and small facts, never frames."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from schemas.artifacts import ArtifactRef, Fitted
from schemas.pages import Pages
from schemas.reports import (
    Accounting,
    Choice,
    EvaluationReport,
    Lineage,
    Metric,
    Report,
    SegmentProfile,
    ValidationReport,
    Verdict,
)
from schemas.tuning import Tuning
from schemas.yardsticks import Yardsticks

SliceName = Literal["all", "choosing", "proving", "dated"]
"""Everyone's whole history, the first 70 % of it, on which candidates are compared, and the first 80 %, which proves
the chosen one on the rest; and what everyone did up to one date, which proves it on what came after."""


class Landed(Report):
    """What ingest leaves behind."""

    tables: dict[str, ArtifactRef] = Field(description="input tables by name; absent ones are absent keys")
    quarantine: ArtifactRef
    accounts: tuple[Accounting, ...]
    as_of: datetime = Field(description="UTC moment the run looks at: the configured one, or the newest event")

    def everything(self) -> dict[str, ArtifactRef]:
        """The input tables and the quarantine: what expectations look at."""
        return {**self.tables, "quarantine": self.quarantine}


class Embedded(Report):
    """The text block, and what it cost."""

    fitted: Fitted
    config: dict[str, Any] = Field(description="the TextsConfig, as JSON")
    encoder: dict[str, Any] = Field(description="kind, config, fingerprint, sums of weights, and dimension")
    tuned: ArtifactRef | None = Field(None, description="weights of the encoder that were tuned; None: it is frozen")
    tuning: Tuning | None = Field(None, description="what came of tuning it; None: the config asks for none")
    hits: int = Field(description="texts that were in the cache")
    misses: int = Field(description="texts that were encoded")


class Recipe(Report):
    """How vectors are made: the sections of a config that a bundle has to carry, as JSON."""

    features: dict[str, dict[str, Any]] = Field(description="family -> its Config")
    represent: dict[str, Any]


class Slice(Report):
    """The tables as their users were known with the first part of their history."""

    share: float = Field(description="of each user's own events that is looked at; 1: all of them")
    as_of: datetime = Field(description="UTC moment after which nothing is looked at")
    tables: dict[str, ArtifactRef]


class Vectors(Report):
    """Everything from features to vectors, fitted on one slice of everyone's history."""

    recipe: Recipe
    slice: Slice
    features: dict[str, Fitted]
    texts: Embedded | None = None
    represented: Fitted

    def made(self) -> dict[str, ArtifactRef]:
        """The made tables that expectations look at."""
        features = {f"user_features.{kind}": made.output for kind, made in self.features.items()}
        texts = {} if self.texts is None else {"user_embeddings": self.texts.fitted.output}
        return {**features, **texts, "user_vectors": self.represented.output}


class Slices(Report):
    """Vectors fitted on all of everyone's history, and on the two slices that held-out figures learn from."""

    all: Vectors
    choosing: Vectors
    proving: Vectors
    dated: Vectors | None = Field(None, description="as of an earlier date; None: nothing is measured by date")
    date: datetime | None = Field(None, description="that date")


class Candidate(Report):
    """One competitor: an algorithm with its parameters, and where it starts."""

    name: str
    algorithm: dict[str, Any] = Field(description="the clusterer's Config, as JSON")
    start: Literal["fresh", "kept", "rebased"] = Field(
        "fresh",
        description="fresh: from nothing; kept: in the champion's representation, from its centroids; rebased: in "
        "today's representation, from the means of the champion's members there",
    )
    grown: bool = Field(False, description="a warm one may bear segments where users stand whom no old one explains")

    @property
    def warm(self) -> bool:
        """Whether it starts from the champion."""
        return self.start != "fresh"


class Placed(Report):
    """The users of a slice in the champion's own space, and where it puts them."""

    vectors: ArtifactRef
    assignments: ArtifactRef


class Standing(Report):
    """A model of another day on today's data: the champion that candidates are compared with and may start from."""

    version: str = Field(description="model version")
    bundle: str = Field(description="folder of its bundle")
    users: int = Field(description="users of the data that it was fitted on")
    as_of: datetime = Field(description="UTC moment of its published assignments: what it has seen ends there")
    algorithm: dict[str, Any] = Field(description="its clusterer's Config, as JSON")
    ids: tuple[str, ...] = Field(description="segment ids by label")
    names: tuple[str, ...] = Field(description="segment names by label")
    cited: dict[str, tuple[str, ...] | None] = Field(
        default_factory=dict, description="segment id -> claims that its name was made of; None: a person's name"
    )
    colours: dict[str, str] = Field(
        default_factory=dict, description="segment id -> the colour that readers know it by"
    )
    next_number: int = Field(description="first number never used in a segment id")
    published: ArtifactRef | None = Field(None, description="assignments as readers have them; None: never published")
    placed: dict[SliceName, Placed] = Field(description="slice -> its users; `all`: today's")
    basis: dict[str, float] = Field(
        default_factory=dict, description="how well its representation covers today's data: figure -> share"
    )


class Attempt(Report):
    """A candidate that was fitted."""

    candidate: Candidate
    fitted: ArtifactRef = Field(description="on all data: labels, arrays, what the fit left behind")
    vectors: ArtifactRef = Field(description="the user vectors that it was fitted on")
    trained: ArtifactRef = Field(description="on the slice that candidates are compared on: labels under several seeds")
    users: ArtifactRef = Field(description="the user vectors of that slice, whose users the labels belong to")


class Unfit(Report):
    """A candidate that the data cannot be fitted with, such as one of more segments than users."""

    candidate: Candidate
    why: str


class Contest(Report):
    """All candidates of a run, and the one that was chosen."""

    reports: tuple[EvaluationReport, ...]
    choice: Choice
    best: Attempt = Field(description="the chosen candidate")
    attempts: tuple[Attempt, ...] = Field((), description="all that could be fitted")
    report: EvaluationReport = Field(description="its figures")


class HeldOutFigures(Report):
    """Held-out figures of one way to segment, and every user's hits behind them."""

    metric: Metric
    hits: ArtifactRef | None = Field(None, description="hits of each user under each seed; None: nothing was measured")
    labels: ArtifactRef | None = Field(None, description="the labels that were measured, under the same seeds")


class Proof(Report):
    """Held-out figures of a model's recipe on the last slice, and what stands beside them."""

    recipe: HeldOutFigures = Field(description="the recipe, fitted on the first 80 % as it would go live")
    wanted: bool = Field(True, description="whether held-out lift was to be measured; gates then ask for it")


class Built(Report):
    """A model that can assign but has no names yet, and everybody assigned by it: labels stand as s001, s002, …"""

    bundle: ArtifactRef
    sha256: str
    assignments: ArtifactRef
    silhouettes: dict[str, float] = Field(default_factory=dict, description="mean silhouette of each segment's users")


class Registered(Report):
    """A registered model version."""

    version: str
    bundle: ArtifactRef
    sha256: str
    assignments: ArtifactRef = Field(description="every user of the run, assigned by this version")
    born: tuple[str, ...] = Field((), description="ids that its segments were the first to be given")
    new: bool = Field(description="false: identical content was registered before")


class Publication(Report):
    """The tables that would be published with a version, as they would be."""

    assignments: ArtifactRef
    segments: ArtifactRef
    transitions: ArtifactRef

    def tables(self) -> Mapping[str, ArtifactRef]:
        """By the names under which they are published."""
        return {"assignments": self.assignments, "segments": self.segments, "transitions": self.transitions}


class Outcome(Report):
    """What came of a run, before the gates are asked."""

    slices: Slices
    champion: Standing | None
    contest: Contest
    proof: Proof
    lineage: Lineage
    profiles: tuple[SegmentProfile, ...]
    model: Registered
    publication: Publication
    checks: tuple[ValidationReport, ...] = Field(description="of every hand-over, that of the published tables last")
    yardsticks: tuple[Yardsticks, ...] = Field((), description="ways to recommend beside the segments, by protocol")


class Summary(Report):
    """What a retrain tells at its end."""

    segmentation: str
    run_id: str = Field(description="the run in MLflow")
    experiment_id: str
    prefect_run: str = Field(description="the flow run in Prefect; empty outside one")
    model_version: str
    new_version: bool
    chosen: str
    reason: str
    verdict: Verdict = Field(description="of every gate")
    profiles: tuple[SegmentProfile, ...]
    lineage: Lineage
    metrics: dict[str, float]
    texts: tuple[int, int] | None = Field(None, description="texts that were at hand, and texts that were encoded")
    report: str = Field(description="path of the HTML report")
    warning: str | None = Field(None, description="what a person should see of the names; none: each says something")
    pages: Pages
    beside: tuple[str, ...] = Field((), description="what came of the segments beside other ways to recommend")

    @property
    def promoted(self) -> bool:
        """Whether the model is live now."""
        return self.verdict.promoted


class Scored(Report):
    """Today's users, assigned by the champion."""

    model_version: str
    assignments: ArtifactRef = Field(description="every user of the run")


class Recalled(Report):
    """A registered version of another day, on today's data."""

    model: Registered
    standing: Standing = Field(description="its vectors and assignments of today's users")
    profiles: tuple[SegmentProfile, ...] = Field(description="its segments as recorded, with today's sizes")


class Served(Report):
    """What an assignment run tells at its end."""

    segmentation: str
    run_id: str = Field(description="the run in MLflow")
    model_version: str
    users: int
    moved: int = Field(description="users who entered, left or changed a segment")
    revision: int = Field(description="of the pointer")


class Decided(Report):
    """What a promotion or rollback came to."""

    segmentation: str
    live: str | None = Field(description="model version that is live now")
    previous: str | None = Field(description="model version that a rollback would bring back")
    changed: bool = Field(description="whether this run changed what is live")
    revision: int = Field(description="of the pointer")
    verdict: Verdict | None = Field(None, description="of a promotion: every gate, and the override if there is one")
    behind: str | None = Field(None, description="why MLflow's aliases could not follow; the next run mends them")
