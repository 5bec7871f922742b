"""What the verbs of `recommend` hand to one another, and what is told of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import Field

from schemas.artifacts import ArtifactRef
from schemas.reports import Report


class Lists(Report):
    """Lists as they would be published."""

    model_version: str = Field(description="the live model, whose segments they were made by")
    recommender: str = Field(description="kind of what ranked the items")
    segments: ArtifactRef = Field(description="a list for each segment, and one for users without a segment")
    users: ArtifactRef | None = Field(description="a list for each user; None: not asked for")
    choosable: int = Field(description="distinct items that somebody chose: no list can be longer")

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
