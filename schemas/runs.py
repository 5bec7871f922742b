"""What the verbs of one retrain hand to one another: references and small facts, never frames."""

from datetime import datetime
from typing import Any

from pydantic import Field

from schemas.artifacts import ArtifactRef, Fitted
from schemas.reports import Accounting, Gate, Metric, Report, SegmentProfile


class Landed(Report):
    """What ingest leaves behind."""

    tables: dict[str, ArtifactRef] = Field(description="input tables by name; absent ones are absent keys")
    quarantine: ArtifactRef
    accounts: tuple[Accounting, ...]
    as_of: datetime = Field(description="UTC moment the run looks at: the configured one, or the newest event")


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


class Candidate(Report):
    """One competitor: an algorithm with its parameters, fresh or started from the champion."""

    name: str
    algorithm: dict[str, Any] = Field(description="the clusterer's Config, as JSON")
    warm: bool = False


class Proof(Report):
    """Held-out figures on the last slice, and what stands beside them."""

    heldout: Metric
    one_to_one: Metric | None = Field(None, description="1:1 recommendation on the same slice")
    champion: Metric | None = Field(None, description="the champion's recipe on the same data")


class Registered(Report):
    """A registered model version."""

    version: str
    bundle: ArtifactRef
    sha256: str
    assignments: ArtifactRef = Field(description="every user of the run, assigned by this version")
    new: bool = Field(description="false: identical content was registered before")


class Summary(Report):
    """What a retrain tells at its end."""

    segmentation: str
    run_id: str
    run_url: str | None = None
    model_version: str
    new_version: bool
    chosen: str
    reason: str
    promoted: bool
    gates: tuple[Gate, ...]
    profiles: tuple[SegmentProfile, ...]
    metrics: dict[str, float]
    report: str = Field(description="path of the HTML report")
    seconds: float
