"""What the gates look at: everything measured about one model on one data set."""

from datetime import datetime

from pydantic import Field

from schemas.reports import Metric, Report

SILHOUETTE = "silhouette"
STABILITY = "stability"
LIFT = "heldout_lift"
OVER_RANDOM = "lift_over_random_precision"
INTERVALS = "intervals"
CATALOGUE = "coverage"
COSINE = "cosine"


class SliceFigures(Report):
    """One group of users, such as gender F."""

    n: int = Field(description="users of the group")
    unassigned: float | None = Field(description="share of them without a segment")
    lift: float | None = Field(None, description="held-out precision lift over popularity, of these users")


class GateInput(Report):
    """One model as measured on one data set. The champion's is measured anew, on the candidate's data."""

    data: str = Field(description="fingerprint of the data that everything here was measured on")
    metrics: dict[str, Metric] = Field(description="by name: silhouette, stability, heldout_lift, ...")
    required: tuple[str, ...] = Field((SILHOUETTE, STABILITY, LIFT), description="metrics that may not be missing")
    users: int | None = Field(description="users known at as_of")
    rows: int | None = Field(description="rows of the assignments")
    distinct: int | None = Field(description="distinct users in the assignments")
    unassigned: int | None = Field(description="rows without a segment")
    sizes: dict[str, int] = Field(description="segment id -> users; every id of the model, empty ones too")
    slices: dict[str, dict[str, SliceFigures]] = Field(
        default_factory=dict, description="users column -> group -> figures"
    )
    features_sha256: str | None = Field(description="hash of the order of the columns that the vectors were made from")
    expected_features_sha256: str | None = Field(description="hash of the order that the bundle declares")
    leaked: int | None = Field(description="users whose assignment changes when everything after as_of is taken away")
    as_of: datetime = Field(description="UTC moment the data is looked at")
    newest_event: datetime | None = Field(None, description="newest event or text up to as_of")
    validated: bool | None = Field(description="whether the validation of inputs and features passed")
    previous_users: int | None = Field(None, description="users of the data that the champion was fitted on")
    churn: Metric | None = Field(None, description="share of unchanged users who would change segment")
    published: bool | None = Field(description="whether the tables to be published keep their expectations")

    def value(self, name: str) -> float | None:
        """Value of a metric; None where it is missing."""
        metric = self.metrics.get(name)
        return None if metric is None else metric.value

    def detail(self, name: str, key: str) -> float | None:
        """A number among a metric's details; None where it is missing."""
        metric = self.metrics.get(name)
        found = None if metric is None else metric.details.get(key)
        return float(found) if isinstance(found, int | float) else None

    def interval(self, name: str, key: str | None = None) -> tuple[float, float] | None:
        """The 95 % interval of a metric, or of one of its details."""
        metric = self.metrics.get(name)
        if metric is None or key is None:
            return None if metric is None else metric.interval
        found = metric.details.get(INTERVALS, {}).get(key)
        return None if found is None else (float(found[0]), float(found[1]))

    @property
    def unassigned_share(self) -> float | None:
        """Share of rows without a segment."""
        return None if self.unassigned is None or not self.rows else self.unassigned / self.rows
