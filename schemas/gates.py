"""The bounds of the gates, and what they look at: the model that would go live, beside what readers have today."""

from datetime import datetime

from pydantic import Field

from schemas.config import Positive, Section, Share
from schemas.reports import Difference, Metric, Report

SILHOUETTE, STABILITY = "silhouette", "stability"
RECIPE, MODEL, UNSEEN, BY_DATE = "lift.recipe", "lift.model", "lift.unseen", "lift.date"
"""Held-out lift of the recipe, fitted on the train slice as it would go live; of the registered labels themselves; and
of the recipe where the champion has not seen what users did; and of the recipe as of one date, on what came after."""
CHAMPION = "champion."
"""Prefix of the same figures of the champion: its recipe refitted, and its labels as readers have them."""
USERS, CATALOGUE, UNASSIGNED, PRECISION = "coverage.users", "coverage.catalogue", "unassigned", "precision"
OVER_CHANCE = "coverage.random"
"""Share of the catalogue that segments recommend, less what random segments of the same sizes do."""
OVER_RANDOM, INTERVALS = "lift_over_random_precision", "intervals"


class GateConfig(Section):
    """Bounds that a candidate must pass before it replaces the champion. Margins are absolute unless said otherwise.

    A comparison passes where the candidate is below the champion by no more than the margin, and the paired interval
    shows that this is sure, or that chance alone could make it.
    """

    max_unassigned: Share = Field(0.3, description="share of users without a segment")
    min_segment_users: Positive = Field(10, description="users of the smallest segment")
    max_largest_share: Share = Field(0.9, description="share of users in the largest segment")
    coverage_margin: Share = Field(0.02, description="coverage of users and catalogue may fall by this much")
    slice_margin: Share = Field(
        0.1,
        description="unassigned share of a declared group may grow by this much, and its precision fall by this share",
    )
    slices: tuple[str, ...] = Field((), description="users columns whose groups are compared, such as gender")
    min_slice_users: Positive = Field(30, description="groups with fewer users are not judged")
    silhouette_margin: float = Field(0.02, ge=0, description="silhouette may fall by this much, on the same data")
    stability_margin: float = Field(0.1, ge=0, description="stability (adjusted Rand index) may fall by this much")
    max_churn: Share = Field(0.3, description="share of unchanged users who may change segment")
    drift_reason: str | None = Field(None, description="a written reason that excuses churn, recorded with the verdict")
    lift_margin: Share = Field(0.1, description="held-out precision may fall by this share of the champion's")
    min_unseen_users: Positive = Field(
        100, description="users with events that the champion has not seen, below which it is not judged by them"
    )
    max_data_age_days: float | None = Field(
        None, gt=0, description="age of the newest event by the clock, days; none: any"
    )
    min_kept: Share = Field(0.7, description="share of the users whom readers know who must still be there")
    row_change: tuple[float, float] = Field(
        (0.6, 3.0), description="users against the champion's data: lowest, highest ratio"
    )


class GroupFigures(Report):
    """One group of users, such as gender F."""

    n: int = Field(description="users of the group")
    unassigned: float = Field(description="share of them without a segment")
    against: dict[str, Difference] = Field(
        default_factory=dict, description="`unassigned` and `precision` of these users, less the champion's"
    )


class GateInput(Report):
    """A candidate, and its differences from the champion.

    What is measured twice comes from two places: users from the tables and from the assignments, sizes from the
    segments and from the assignments, vectors from the fit and from the registered bundle.
    """

    champion: str | None = Field(None, description="version that is live; None: nothing is")
    metrics: dict[str, Metric] = Field(description="silhouette, stability, lift.recipe, lift.model, ...")
    required: tuple[str, ...] = Field((SILHOUETTE, STABILITY, RECIPE, MODEL), description="may not be missing")
    differences: dict[str, Difference] = Field(default_factory=dict, description="by name: candidate minus champion")
    incomparable: dict[str, str] = Field(default_factory=dict, description="name -> why there is nothing to compare")
    known: int | None = Field(description="users known at as_of, counted in the input tables")
    rows: int | None = Field(description="rows of the assignments")
    distinct: int | None = Field(description="distinct users in the assignments")
    unassigned: int | None = Field(description="rows without a segment")
    sizes: dict[str, int] = Field(description="segment id -> users, as the table of segments tells it")
    groups: dict[str, dict[str, GroupFigures]] = Field(
        default_factory=dict, description="users column -> group -> figures"
    )
    shifted: int | None = Field(description="users whose vector by the registered bundle is not that of the fit")
    leaked: int | None = Field(description="users whose segment changes when rows after as_of are put in")
    newest_event: datetime | None = Field(None, description="newest event or text up to as_of")
    now: datetime = Field(description="UTC moment by the clock")
    previous_users: int | None = Field(None, description="users of the data that the champion was fitted on")
    kept: float | None = Field(None, description="share of the published users who are among today's")
    churn: Metric | None = Field(None, description="share of users with a published segment who would change it")
    broken: tuple[str, ...] | None = Field(description="rules that the tables to be published break; None: not checked")

    def value(self, name: str) -> float | None:
        """Value of a metric; None where it is missing."""
        metric = self.metrics.get(name)
        return None if metric is None else metric.value

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
