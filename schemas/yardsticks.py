"""Ways to recommend, side by side on the same held-out events: what segments are worth, beside everything else."""

from typing import Literal

from pydantic import Field

from schemas.reports import Difference, Report

Protocol = Literal["user", "date"]
"""`user`: the last fifth of everyone's own history is held out; `date`: everything after one date."""
Saying = Literal["helps", "no evidence", "hurts"]
MEASURES = ("precision", "recall", "ndcg", "map", "mrr", "hit", "coverage", "novelty", "diversity", "gini", "longtail")
"""Figures of a way to recommend, by their names in MLflow: `proof.<protocol>.<way>.<measure>`."""
SEGMENTS, CHAMPION, RANDOM, ATTRIBUTES = "segment_popularity", "champion", "random_segments", "attribute_segments"
"""Popularity within the candidate's segments, the champion's, random ones as large, and those of attributes alone."""

BY_GROUP = (SEGMENTS, CHAMPION, RANDOM, ATTRIBUTES)


class Compared(Report):
    """A way to recommend against the baseline, user by user."""

    gap: Difference = Field(description="in precision: this way less the baseline")
    p: float = Field(description="of no difference, by the paired bootstrap, two-sided")
    adjusted: float = Field(description="the same after Benjamini and Hochberg, over all comparisons of the table")
    saying: Saying

    top_n: int = Field(description="items in each list")

    @property
    def lift(self) -> Difference:
        """The gap as a share of the baseline's precision; one that finds nothing counts as if it had found one item."""
        return self.gap.scaled(max(self.gap.base, 1 / (self.gap.n * self.top_n)))


class Way(Report):
    """One way to recommend."""

    name: str
    figures: dict[str, float] = Field(description="measure -> value, of all users; what cannot be had is left out")
    intervals: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="measure -> 95 % interval over users"
    )
    bands: dict[int, dict[str, float]] = Field(
        default_factory=dict, description="events of a user, at least and below the next band -> measure -> value"
    )
    cold_items: float | None = Field(
        None, description="recall of held-out items that nobody had touched before; None: there are none"
    )
    against: Compared | None = Field(None, description="None: it is the baseline")
    seconds: float = Field(0.0, description="to fit and to recommend to everybody")


class Yardsticks(Report):
    """A table of ways to recommend under one protocol."""

    protocol: Protocol
    top_n: int
    users: int = Field(description="users with held-out items, over whom recall and the like are means")
    items: int
    repeats: bool = Field(False, description="whether items that a user had before stay in the lists")
    baseline: str = Field(description="the way that the others are compared with: the strongest popularity")
    ways: tuple[Way, ...]
    segments: dict[str, Compared] = Field(
        default_factory=dict, description="segment id -> its members, recommended to by segment, against the baseline"
    )
    champion: Difference | None = Field(
        None, description="precision by the candidate's segments less that by the champion's recipe, user by user"
    )
    counts: dict[str, int] = Field(default_factory=dict, description="users and held-out events, warm and cold")
    skipped: dict[str, str] = Field(default_factory=dict, description="way -> why it could not be measured")

    def way(self, name: str) -> Way | None:
        """A way by its name."""
        return next((one for one in self.ways if one.name == name), None)

    def over_chance(self) -> Difference | None:
        """Share of the catalogue that segments recommend less what random ones do; of one figure each no interval."""
        ours, chance = self.way(SEGMENTS), self.way(RANDOM)
        if ours is None or chance is None:
            return None
        gap, base = ours.figures["coverage"] - chance.figures["coverage"], chance.figures["coverage"]
        return Difference(value=gap, low=gap, high=gap, n=self.items, base=base)

    def flat(self) -> dict[str, float]:
        """Every figure by its name in MLflow: `proof.<protocol>.<way>.<measure>`, and `.n<events>` for thin users."""
        found: dict[str, float] = {}
        for way in self.ways:
            name = f"proof.{self.protocol}.{way.name}"
            found |= {f"{name}.{measure}": value for measure, value in way.figures.items()}
            found |= {
                f"{name}.{measure}.n{events}": value
                for events, figures in way.bands.items()
                for measure, value in figures.items()
            }
            if way.against is not None:
                lift = way.against.lift
                found |= {f"{name}.lift": lift.value, f"{name}.lift.low": lift.low, f"{name}.lift.high": lift.high}
            found |= {} if way.cold_items is None else {f"{name}.recall.cold_items": way.cold_items}
            for measure, (low, high) in way.intervals.items():
                found |= {f"{name}.{measure}.low": low, f"{name}.{measure}.high": high}
        return found
