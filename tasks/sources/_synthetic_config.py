"""What can be planted: sizes, signals, changes between two dates and dirt."""

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.config import Positive, Section, Share

Signal = Literal["behaviour", "interest", "attributes", "social", "text"]
SIGNALS: tuple[Signal, ...] = ("behaviour", "interest", "attributes", "social", "text")


class Change(Section):
    """What happens to planted segments of one signal between moment 0 and moment 1."""

    signal: Signal = Field("interest", description="whose segments change")
    kind: Literal["split", "merge", "appear", "vanish"] = Field(
        "split",
        description="split: half of a segment becomes a new one; merge: the second joins the first; appear: the new"
        " users (or, without new users, an equal part of all) form a new one; vanish: its users are gone",
    )
    segments: tuple[int, ...] = Field((), description="numbers of the segments concerned; none for appear")


class Dirt(Section):
    """Share of event rows that are spoilt in each way; a row is spoilt in one way at most."""

    duplicates: Share = Field(0.0, description="rows that repeat the row before them")
    null_users: Share = Field(0.0, description="rows without user id")
    empty_users: Share = Field(0.0, description="rows whose user id is the empty text")
    null_items: Share = Field(0.0, description="rows without item id")
    unknown_items: Share = Field(0.0, description="rows with an item that items does not list")
    unknown_events: Share = Field(0.0, description="rows with an event name of no use")
    null_values: Share = Field(0.0, description="rows without value")
    nan_values: Share = Field(0.0, description="rows whose value is not a number")
    inf_values: Share = Field(0.0, description="rows whose value is plus or minus infinity")
    huge_values: Share = Field(0.0, description="rows whose value is 1e308, beyond float32")
    null_times: Share = Field(0.0, description="rows without timestamp")
    future: Share = Field(0.0, description="rows dated 400 days after as_of")
    negative: Share = Field(0.0, description="rows dated before 1970, in 1938")
    year_9999: Share = Field(0.0, description="rows dated 9999-12-31")


class Config(Section):
    """Synthetic users with planted segments, the oracle of many tests."""

    kind: Literal["synthetic"] = "synthetic"
    users: Positive = Field(1_000, description="users at moment 0")
    events_per_user: float = Field(50.0, gt=0, description="mean number of events of a user")
    items: Positive = Field(500, description="items in the catalogue")
    texts_per_user: int = Field(5, ge=0, description="texts each user writes; 0: no texts table")
    edges_per_user: int = Field(10, ge=0, description="ties each user starts; 0: no edges table")
    segments: int = Field(5, ge=1, le=60, description="planted segments of each signal, independent between signals")
    signals: tuple[Signal, ...] = Field(SIGNALS, description="signals that carry segments; the others are noise")
    strength: Share = Field(1.0, description="separation: 1 is easy, 0 is noise")
    imbalance: float = Field(0.0, ge=0, description="size of segment s is proportional to (s + 1) ** -imbalance")
    language: Literal["en", "zh"] = Field("en", description="language of titles and texts")
    seed: int = Field(0, ge=0, description="seed of everything")
    as_of: datetime = Field(
        datetime(2026, 1, 1, tzinfo=UTC), description="UTC moment that the events of moment 0 lead up to"
    )
    days: Positive = Field(90, description="days that the events span, and between moment 0 and moment 1")
    moment: Literal[0, 1] = Field(0, description="0: first date; 1: second date, with drift, changes and new users")
    drift: float = Field(0.0, ge=0, description="at moment 1: values grow by exp(drift), ages by 10 x drift years")
    new_users: Share = Field(0.0, description="at moment 1: new users as a share of users")
    changes: tuple[Change, ...] = Field((), description="what happens to planted segments at moment 1")
    dirt: Dirt = Field(default=Dirt.model_validate({}), description="shares of spoilt event rows")
    reveal: tuple[Signal, ...] = Field((), description="add users columns truth_<signal> with the planted segment")
    batch_rows: Positive = Field(131_072, description="rows of an Arrow batch, about")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if sum(self.dirt.model_dump().values()) > 0.5:
            raise ValueError("dirt: at most half of the rows can be spoilt, in all")
        for change in self.changes:
            wanted = {"split": 1, "merge": 2, "appear": 0, "vanish": 1}[change.kind]
            if len(set(change.segments)) != wanted or any(not 0 <= s < self.segments for s in change.segments):
                raise ValueError(f"changes: {change.kind} takes {wanted} different segments below {self.segments}")
        return self

    @property
    def population(self) -> int:
        """Users ever seen up to this moment; those of vanished segments count."""
        return self.users + (round(self.users * self.new_users) if self.moment else 0)

    @property
    def labels(self) -> int:
        """Planted labels of one signal over both moments, at most; profiles never depend on the moment."""
        born = [change.signal for change in self.changes if change.kind in ("split", "appear")]
        return self.segments + max((born.count(signal) for signal in SIGNALS), default=0)
