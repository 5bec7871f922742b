"""What the verbs of one retrain hand to one another: references and small facts, never frames."""

from datetime import datetime
from typing import Any

from pydantic import Field

from schemas.artifacts import ArtifactRef, Fitted
from schemas.reports import Accounting, Choice, EvaluationReport, Gate, Metric, Report, SegmentProfile, Verdict


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
    encoder: dict[str, Any] = Field(description="kind, config, fingerprint, weights_sha256 and dimension")
    hits: int = Field(description="texts that were in the cache")
    misses: int = Field(description="texts that were encoded")


class Recipe(Report):
    """How vectors are made: the sections of a config that a bundle has to carry, as JSON."""

    features: dict[str, dict[str, Any]] = Field(description="family -> its Config")
    represent: dict[str, Any]


class Vectors(Report):
    """Everything from features to vectors, fitted on one slice of everyone's history."""

    recipe: Recipe
    high: float = Field(description="share of each user's history that was looked at")
    features: dict[str, Fitted]
    texts: Embedded | None = None
    represented: Fitted

    def tables(self) -> dict[str, ArtifactRef]:
        """The made tables that expectations look at."""
        features = {f"user_features.{kind}": made.output for kind, made in self.features.items()}
        texts = {} if self.texts is None else {"user_embeddings": self.texts.fitted.output}
        return {**features, **texts, "user_vectors": self.represented.output}


class Candidate(Report):
    """One competitor: an algorithm with its parameters, fresh or started from the champion."""

    name: str
    algorithm: dict[str, Any] = Field(description="the clusterer's Config, as JSON")
    warm: bool = False


class Standing(Report):
    """The champion on today's data: what candidates are compared with and may start from."""

    version: str = Field(description="model version")
    bundle: str = Field(description="folder of its bundle")
    users: int = Field(description="users of the data that it was fitted on")
    algorithm: dict[str, Any] = Field(description="its clusterer's Config, as JSON")
    ids: tuple[str, ...] = Field(description="segment ids by label")
    names: tuple[str, ...] = Field(description="segment names by label")
    next_number: int = Field(description="first number never used in a segment id")
    vectors: ArtifactRef = Field(description="today's users in the champion's own space")
    assignments: ArtifactRef = Field(description="today's users, assigned by the champion")


class Attempt(Report):
    """A candidate that was fitted."""

    candidate: Candidate
    fitted: ArtifactRef
    vectors: ArtifactRef = Field(description="the user vectors that it was fitted on")


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


class Proof(Report):
    """Held-out figures on the last slice, and what stands beside them."""

    heldout: Metric
    wanted: bool = Field(True, description="whether held-out lift was to be measured; gates then ask for it")
    one_to_one: Metric | None = Field(None, description="1:1 recommendation on the same slice")
    slices: dict[str, dict[str, tuple[int, float | None]]] = Field(
        default_factory=dict, description="users column -> group -> users and their lift"
    )


class Registered(Report):
    """A registered model version."""

    version: str
    bundle: ArtifactRef
    sha256: str
    assignments: ArtifactRef = Field(description="every user of the run, assigned by this version")
    born: tuple[str, ...] = Field((), description="ids that its segments were the first to be given")
    new: bool = Field(description="false: identical content was registered before")


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
    promoted: bool
    gates: tuple[Gate, ...]
    profiles: tuple[SegmentProfile, ...]
    metrics: dict[str, float]
    texts: tuple[int, int] | None = Field(None, description="texts that were at hand, and texts that were encoded")
    report: str = Field(description="path of the HTML report")


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


class Told(Report):
    """What is published about one user."""

    user_id: str
    status: str
    segment_id: str | None
    name: str | None = Field(description="of the segment")
    confidence: float
    distance: float | None
    second_segment_id: str | None
    second_name: str | None
    reasons: tuple[str, ...]
    model_version: str
    as_of: datetime
    history: tuple[tuple[datetime, str | None, str | None, str], ...] = Field(
        description="as_of, segment before, segment after, model version; oldest first"
    )
