"""What is told to those who ask: of a config, of what is published, of what was written."""

from datetime import datetime

from pydantic import Field

from schemas.reports import Report


class Aside(Report):
    """Rows that would be set aside for one reason."""

    column: str = Field(description="the offending column; empty: the whole row")
    reason: str
    rows: int
    first: str = Field(description="where the first of them stands")


class Sampled(Report):
    """What ingest would make of the first rows of a table."""

    table: str
    read: int = Field(description="rows that were looked at")
    lines: int | None = Field(None, description="lines that they stand on, where a line holds several; none: one each")
    taken: int = Field(description="rows of these that would be taken")
    columns: dict[str, str] = Field(description="column -> what it is read as: text, number, time or list")
    own: dict[str, str] = Field(default={}, description="column -> what the source calls it; the others have a default")
    unread: tuple[str, ...] = Field((), description="what else the source has, which is not read")
    empty: tuple[str, ...] = Field((), description="columns that hold nothing in any of these rows")
    times: tuple[datetime, datetime] | None = Field(description="the earliest and the latest time among them")
    event_names: tuple[str, ...] = Field((), description="what happened in them, the commonest first; events alone")
    nobody: dict[str, int] = Field(default={}, description="user who may be nobody, such as unknown -> rows taken")
    aside: tuple[Aside, ...] = Field(description="why the others would be set aside, the commonest reason first")

    @property
    def share_aside(self) -> float:
        """Share of the rows that would be set aside."""
        return 1 - self.taken / self.read if self.read else 0.0


class Checked(Report):
    """A config and its source, looked at without running anything."""

    config: str = Field(description="path of the config")
    segmentation: str
    parts: dict[str, str] = Field(description="part of the source -> what changes when its content does")
    sample: tuple[Sampled, ...] = Field(default=(), description="what would become of the first rows of each table")
    advice: tuple[str, ...] = Field(default=(), description="what the config leaves open that these rows call for")


class Membership(Report):
    """How much of a segment a user is."""

    segment_id: str
    weight: float


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
    memberships: tuple[Membership, ...] | None = Field(
        None, description="the segment and the two next nearest, with weights that sum to 1; none: see the table"
    )
    history: tuple[tuple[datetime, str | None, str | None, str], ...] = Field(
        description="as_of, segment before, segment after, model version; oldest first"
    )


class ListedSegment(Report):
    """A segment, as published."""

    segment_id: str
    name: str
    users: int
    share: float = Field(description="of all users of the segmentation, those of no segment included")


class Listed(Report):
    """The published segments of a segmentation."""

    segmentation: str
    model_version: str = Field(description="model version that is live")
    as_of: datetime = Field(description="of the data that it was published from")
    segments: tuple[ListedSegment, ...] = Field(description="the largest first")


class Exported(Report):
    """Members written to a file."""

    segmentation: str
    segment: str | None = Field(description="id of the segment, or `unassigned`; none: all users")
    users: int
    output: str = Field(description="path of the file")
