"""The tables of fenqun: the only home of column names, dtypes, units and keys.

Dtypes are names (`"string"`, `"float64"`, ...) so that importing this module needs neither pyarrow nor polars;
`Table.arrow_schema` and `Table.polars_schema` translate them where a library is at hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

Dtype = Literal[
    "string",
    "float32",
    "float64",
    "int32",
    "int64",
    "bool",
    "timestamp",
    "list<string>",
    "list<float32>",
    "list<membership>",
]

USER_ID = "user_id"
ITEM_ID = "item_id"
EVENT = "event"
TIMESTAMP = "timestamp"
VALUE = "value"
SEQUENCE = "sequence"
TITLE = "title"
DESCRIPTION = "description"
CATEGORIES = "categories"
TEXT = "text"
KIND = "kind"
SRC = "src"
DST = "dst"
WEIGHT = "weight"
VECTOR = "vector"
SEGMENT_ID = "segment_id"
SECOND_SEGMENT_ID = "second_segment_id"
CONFIDENCE = "confidence"
DISTANCE = "distance"
STATUS = "status"
REASONS = "reasons"
MEMBERSHIPS = "memberships"
MODEL_VERSION = "model_version"
AS_OF = "as_of"
RANK = "rank"
SCORE = "score"
NAME = "name"
SIZE = "size"
NOTE = "note"
COLOUR = "colour"
SHARE = "share"
FROM_SEGMENT_ID = "from_segment_id"
TO_SEGMENT_ID = "to_segment_id"
REVISION = "revision"
TABLE = "table"
LOCATOR = "locator"
COLUMN = "column"
REASON = "reason"
RUN_ID = "run_id"
HAS_TEXT = "has_text"
MISSING = "_missing"
"""End of the name of a feature column that says that another one is missing."""
IDS = (USER_ID, ITEM_ID, SRC, DST, EVENT, KIND)
"""Columns by the rule of ids: ids themselves, and the names of events and of kinds of texts."""
NOBODY = (
    "unknown",
    "anonymous",
    "anon",
    "guest",
    "default",
    "匿名",
    "未知",
    "游客",
    "0",
    "-1",
    "9999",
    "99999",
    "999999",
)
"""Ids under which systems put whoever they do not know, in small letters."""
PEOPLE = (USER_ID, SRC, DST)
"""Ids of users; those of items may be titles, in which quotes can be meant."""


@dataclass(frozen=True)
class Column:
    """One column: its name, dtype, whether it may be null, its unit and meaning."""

    name: str
    dtype: Dtype
    nullable: bool = False
    unit: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class Table:
    """One table: its columns in order and the columns that identify a row.

    Attributes:
        name: Name of the table, as in configs and in the quarantine.
        columns: The columns that the contract knows, in order.
        key: Columns that are unique together; empty where repeats are legal (events).
        open: Whether a source may bring more columns (attributes of users, numeric columns of items).
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    open: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that may not be null."""
        return tuple(column.name for column in self.columns if not column.nullable)

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError where the table has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name} has no column {name!r}; it has {', '.join(self.names)}")

    def arrow_schema(self) -> "pa.Schema":
        """The table as an Arrow schema; timestamps are UTC microseconds."""
        import pyarrow as pa

        types = {
            "string": pa.string(),
            "float32": pa.float32(),
            "float64": pa.float64(),
            "int32": pa.int32(),
            "int64": pa.int64(),
            "bool": pa.bool_(),
            "timestamp": pa.timestamp("us", tz="UTC"),
            "list<string>": pa.list_(pa.string()),
            "list<float32>": pa.list_(pa.float32()),
            "list<membership>": pa.list_(pa.struct({SEGMENT_ID: pa.string(), WEIGHT: pa.float64()})),
        }
        return pa.schema([pa.field(column.name, types[column.dtype], column.nullable) for column in self.columns])

    def polars_schema(self) -> "dict[str, pl.DataType | type[pl.DataType]]":
        """The table as a Polars schema; timestamps are UTC microseconds."""
        import polars as pl

        types: dict[str, pl.DataType | type[pl.DataType]] = {
            "string": pl.String,
            "float32": pl.Float32,
            "float64": pl.Float64,
            "int32": pl.Int32,
            "int64": pl.Int64,
            "bool": pl.Boolean,
            "timestamp": pl.Datetime("us", "UTC"),
            "list<string>": pl.List(pl.String),
            "list<float32>": pl.List(pl.Float32),
            "list<membership>": pl.List(pl.Struct({SEGMENT_ID: pl.String, WEIGHT: pl.Float64})),
        }
        return {column.name: types[column.dtype] for column in self.columns}


_USER = Column(USER_ID, "string", meaning="the recommender's own id of the user, NFC-normalised text")
_SEGMENT = Column(SEGMENT_ID, "string", meaning="stable id of a segment, never reused")
_AS_OF = Column(AS_OF, "timestamp", unit="UTC", meaning="the moment the row speaks of")

EVENTS = Table(
    "events",
    (
        _USER,
        Column(ITEM_ID, "string", meaning="the recommender's own id of the item"),
        Column(EVENT, "string", meaning="what happened: view, cart, buy, rating, ..."),
        Column(TIMESTAMP, "timestamp", unit="UTC", meaning="when it happened"),
        Column(VALUE, "float64", nullable=True, meaning="rating, amount or price, in the source's unit"),
        Column(SEQUENCE, "int64", meaning="the source's row number; breaks ties of time"),
    ),
)
USERS = Table("users", (_USER,), key=(USER_ID,), open=True)
ITEMS = Table(
    "items",
    (
        Column(ITEM_ID, "string", meaning="the recommender's own id of the item"),
        Column(TITLE, "string", nullable=True),
        Column(DESCRIPTION, "string", nullable=True),
        Column(CATEGORIES, "list<string>", nullable=True, meaning="genres, subclasses or tags"),
    ),
    key=(ITEM_ID,),
    open=True,
)
TEXTS = Table(
    "texts",
    (
        _USER,
        Column(TIMESTAMP, "timestamp", unit="UTC", meaning="when the text was written"),
        Column(TEXT, "string"),
        Column(KIND, "string", meaning="review, message, search, ..."),
    ),
)
EDGES = Table(
    "edges",
    (
        Column(SRC, "string", meaning="user who follows, writes to or trusts"),
        Column(DST, "string", meaning="user who is followed, written to or trusted"),
        Column(WEIGHT, "float64", meaning="strength of the tie, above 0"),
        Column(TIMESTAMP, "timestamp", nullable=True, unit="UTC", meaning="since when; null: always"),
    ),
)
MOMENTS = Table("moments", (_USER, Column(TIMESTAMP, "timestamp", unit="UTC", meaning="where the history was cut")))
"""Made, not given: the moment of each user at which a slice of the tables was cut; see tasks/numerics/history.py."""
INPUTS: Mapping[str, Table] = {table.name: table for table in (EVENTS, USERS, ITEMS, TEXTS, EDGES)}
REPEATING: tuple[str, ...] = tuple(name for name, table in INPUTS.items() if not table.key)
"""Input tables in which a row may stand twice."""
BUCKETED: Mapping[str, str] = {"events": USER_ID, "users": USER_ID, "texts": USER_ID, "edges": SRC, "moments": USER_ID}
"""Input tables that are hash-partitioned by user, and the column that holds the user. Items are one whole table."""

QUARANTINE = Table(
    "quarantine",
    (
        Column(TABLE, "string", meaning="the table that the row was meant for"),
        Column(LOCATOR, "string", meaning="where the row stands: file or query, and row number from 1"),
        Column(COLUMN, "string", meaning="the offending column; never its value"),
        Column(REASON, "string", meaning="which rule set the row aside"),
        Column(RUN_ID, "string"),
    ),
)
USER_FEATURES = Table("user_features", (_USER,), key=(USER_ID,), open=True)
USER_EMBEDDINGS = Table(
    "user_embeddings",
    (
        _USER,
        Column(VECTOR, "list<float32>", meaning="weighted mean over the user's texts"),
        Column(HAS_TEXT, "bool", meaning="false: no text, the vector is the declared fallback"),
    ),
    key=(USER_ID,),
)
USER_VECTORS = Table("user_vectors", (_USER, Column(VECTOR, "list<float32>")), key=(USER_ID,))
ASSIGNMENTS = Table(
    "assignments",
    (
        _USER,
        Column(SEGMENT_ID, "string", nullable=True, meaning="null where status is unassigned"),
        Column(CONFIDENCE, "float64", unit="probability in [0, 1]"),
        Column(DISTANCE, "float64", nullable=True, unit="of the clusterer's space"),
        Column(SECOND_SEGMENT_ID, "string", nullable=True),
        Column(STATUS, "string", meaning="assigned, or unassigned where no segment fits"),
        Column(REASONS, "list<string>", meaning="what moved the user here, or why no segment fits"),
        Column(MODEL_VERSION, "string"),
        _AS_OF,
        Column(
            MEMBERSHIPS,
            "list<membership>",
            nullable=True,
            unit="weights that sum to 1",
            meaning="the user's segment and the two next nearest, each with its weight; null: unassigned, placed "
            "without a vector, or by an earlier version",
        ),
    ),
    key=(USER_ID,),
)
SEGMENTS = Table(
    "segments",
    (
        _SEGMENT,
        Column(NAME, "string"),
        Column(SIZE, "int64", unit="users"),
        Column(SHARE, "float64", unit="of all users"),
        Column("evidence", "list<string>", meaning="measured lifts against the sibling segments, most telling first"),
        Column("top_categories", "list<string>"),
        Column("top_items", "list<string>"),
        Column(NOTE, "string", nullable=True, meaning="what a person wrote about the segment"),
        Column(
            COLOUR, "string", nullable=True, meaning="hex colour that the segment keeps; null: by an earlier version"
        ),
        Column(MODEL_VERSION, "string"),
        _AS_OF,
    ),
    key=(SEGMENT_ID,),
    open=True,
)
TRANSITIONS = Table(
    "transitions",
    (
        _USER,
        Column(FROM_SEGMENT_ID, "string", nullable=True, meaning="null: not known before, or unassigned"),
        Column(TO_SEGMENT_ID, "string", nullable=True, meaning="null: no longer known, or unassigned"),
        Column(MODEL_VERSION, "string"),
        _AS_OF,
        Column(
            REVISION,
            "int64",
            nullable=True,
            meaning="of the pointer, as it was published with: the order of a history, whatever moment it looked at; "
            "null: by an earlier version",
        ),
    ),
)
_LISTED = (
    Column(RANK, "int32", unit="from 1"),
    Column(ITEM_ID, "string"),
    Column(SCORE, "float64", meaning="of the recommender, in its own unit: compares items of one list"),
    Column(REASON, "string", meaning="what was measured of the item, in words"),
    Column(MODEL_VERSION, "string", meaning="whose segments it was made by"),
    _AS_OF,
)
RECOMMENDATIONS = Table(
    "recommendations",
    (Column(SEGMENT_ID, "string", nullable=True, meaning="null: the list of users without a segment"), *_LISTED),
    key=(SEGMENT_ID, RANK),
)
USER_RECOMMENDATIONS = Table("user_recommendations", (_USER, *_LISTED), key=(USER_ID, RANK))
REMADE: tuple[str, ...] = (RECOMMENDATIONS.name, USER_RECOMMENDATIONS.name)
"""Published tables that belong to one model and to no other: a promotion leaves them out until they are made again."""
PUBLISHED: Mapping[str, Table] = {
    table.name: table
    for table in (ASSIGNMENTS, SEGMENTS, TRANSITIONS, RECOMMENDATIONS, USER_RECOMMENDATIONS, QUARANTINE)
}

Bucket = Mapping[str, "pl.DataFrame"]
"""One bucket of users: table name -> frame. `items` is whole in every bucket; absent tables are absent keys."""
