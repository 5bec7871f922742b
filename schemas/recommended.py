"""What the verbs of `recommend` hand to one another, and what is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from schemas.artifacts import ArtifactRef
from schemas.interactions import Chosen, Items
from schemas.reports import Report
from schemas.settings import RulesConfig

LISTS, WHY = "recommendations", "recommendations_why"
"""Columns of an answer online: a list of items with their scores and reasons, and why it is this one."""
OWN = "the list of this user"
NONE_LEFT = "the user has chosen everything before that could be listed"
SEGMENT = "the list of the user's segment; what the user has chosen before is not left out of it"
UNASSIGNED = "the list of users without a segment; what the user has chosen before is not left out of it"
"""Why a user gets a list, in words."""


class Terms(Report):
    """How a recommender was fitted, and for whom items were ranked."""

    model_version: str = Field(description="the model whose segments the labels are")
    segments: tuple[str, ...] = Field(description="segment ids, in the order that labels count them")
    names: tuple[str, ...] = Field((), description="of the segments, in that order: reasons name them; none: not kept")
    language: str = Field("en", description="of the reasons")
    recommender: dict[str, Any] = Field(description="config of what ranked the items, with its kind")
    events: tuple[str, ...] = Field(description="names of the events that are choices; none: all are")
    n: int = Field(description="items on a published list at most")
    exclude_seen: bool = Field(description="whether what a user has chosen before is left out")
    seed: int = Field(description="of every random choice of the fit")
    rules: RulesConfig = Field(default_factory=RulesConfig, description="what lists keep to beside the scores")


@dataclass(frozen=True)
class Basis:
    """All that a recommender was fitted on, from which the same fit is made again.

    Attributes:
        chosen: Histories and labels of the users.
        items: What was known of the items; None: nothing.
        terms: How it was fitted.
    """

    chosen: Chosen
    items: Items | None
    terms: Terms


class Lists(Report):
    """Lists as they would be published."""

    model_version: str = Field(description="the live model, whose segments they were made by")
    recommender: str = Field(description="kind of what ranked the items")
    segments: ArtifactRef = Field(description="a list for each segment, and one for users without a segment")
    users: ArtifactRef | None = Field(description="a list for each user; None: not asked for")
    choosable: int = Field(description="distinct items that somebody chose")
    unchosen: int = Field(0, description="other items that the recommender ranks; no list is longer than both together")
    basis: ArtifactRef = Field(description="what the recommender was fitted on, for answers online")

    def tables(self) -> Mapping[str, ArtifactRef]:
        """By the names under which they are published; a table without a row is not."""
        known = {"recommendations": self.segments, "user_recommendations": self.users}
        return {name: ref for name, ref in known.items() if ref is not None and ref.rows}


class Recommended(Report):
    """What a run of `recommend` tells at its end."""

    segmentation: str
    run_id: str = Field(description="the run in MLflow")
    model_version: str | None = Field(None, description="whose segments they were made by; none: nothing was published")
    segments: int = Field(0, description="segments with a list; users of none have one too")
    users: int = Field(0, description="users with a list of their own")
    items: int = Field(0, description="distinct items on the lists of segments")
    why: tuple[str, ...] = Field((), description="why there are none, or fewer or shorter ones than were asked for")
    files: tuple[str, ...] = Field((), description="paths of the lists as CSV and JSON")
    revision: int = Field(description="of the pointer")


class Suggested(Report):
    """An item on a list."""

    rank: int
    item_id: str
    score: float = Field(description="compares items of one list")
    reason: str


class Suggestions(Report):
    """What is published for one user."""

    user_id: str
    known: bool = Field(description="whether the published assignments have this user")
    list_of: Literal["user", "segment", "everybody"] = Field(
        description="the user's own list, that of the user's segment, or that of users without a segment"
    )
    segment_id: str | None
    name: str | None = Field(description="of the segment")
    why: str = Field(description="why it is this list, and what is not left out of it")
    model_version: str
    as_of: datetime
    items: tuple[Suggested, ...]
