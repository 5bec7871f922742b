"""A small hand-over of all tables in which nothing is wrong."""

from datetime import UTC, datetime, timedelta

import polars as pl

from schemas import tables as t
from tasks.validation.scan import TABLES

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
N = 20
_USERS = [f"u{i}" for i in range(N)]
_TIMES = [AS_OF - timedelta(hours=i + 1) for i in range(N)]


def made(table: t.Table, /, **columns) -> pl.DataFrame:
    schema = table.polars_schema()
    return pl.DataFrame({name: pl.Series(name, cells, schema.get(name)) for name, cells in columns.items()})


def good() -> dict[str, pl.DataFrame]:
    """One frame per table."""
    published = {t.MODEL_VERSION: ["1"] * N, t.AS_OF: [AS_OF] * N}
    two = {t.MODEL_VERSION: ["1"] * 2, t.AS_OF: [AS_OF] * 2}
    vectors = [[1.0, float(i % 3)] for i in range(N)]
    frames = (
        made(
            t.EVENTS, user_id=_USERS, item_id=[f"i{i % 4}" for i in range(N)], event=["view", "buy"] * (N // 2),
            timestamp=_TIMES, value=[float(i % 5) for i in range(N)], sequence=range(1, N + 1),
        ),
        made(t.USERS, user_id=_USERS, age=[20.0 + i for i in range(N)]),
        made(
            t.ITEMS, item_id=[f"i{i}" for i in range(4)], title=["one", "two", "three", "four"],
            description=[None] * 4, categories=[["a"], ["b"], ["a", "b"], []], price=[1.0, 2.0, 3.0, 4.0],
        ),
        made(t.TEXTS, user_id=_USERS, timestamp=_TIMES, text=["hello"] * N, kind=["message", "review"] * (N // 2)),
        made(
            t.EDGES, src=_USERS, dst=_USERS[1:] + _USERS[:1], weight=[1.0 + i % 2 for i in range(N)], timestamp=_TIMES
        ),
        made(t.USER_FEATURES, user_id=_USERS, count=[float(i) for i in range(N)], share=[i / N for i in range(N)]),
        made(t.USER_EMBEDDINGS, user_id=_USERS, vector=vectors, has_text=[True] * N),
        made(t.USER_VECTORS, user_id=_USERS, vector=vectors),
        made(
            t.ASSIGNMENTS, user_id=_USERS, segment_id=["S1", "S2"] * (N // 2), confidence=[0.5] * N,
            distance=[0.1 * i for i in range(N)], second_segment_id=["S2", "S1"] * (N // 2), status=["assigned"] * N,
            reasons=[["near"]] * N, **published,
        ),
        made(
            t.SEGMENTS, segment_id=["S1", "S2"], name=["first", "second"], size=[N // 2] * 2, share=[0.5, 0.5],
            evidence=[["e"]] * 2, top_categories=[["a"]] * 2, top_items=[["i1"]] * 2, **two,
        ),
        made(
            t.TRANSITIONS, user_id=_USERS, from_segment_id=["S9", None] * (N // 2),
            to_segment_id=["S1", "S2"] * (N // 2), **published,
        ),
        made(
            t.RECOMMENDATIONS, segment_id=["S1", "S1", "S2", "S2"], rank=[1, 2, 1, 2], item_id=["i0", "i1", "i1", "i0"],
            score=[0.9, 0.5, 0.8, 0.8], reason=["popular"] * 4, model_version=["1"] * 4, as_of=[AS_OF] * 4,
        ),
        made(
            t.USER_RECOMMENDATIONS, user_id=["u0", "u0", "u1", "u1"], rank=[1, 2, 1, 2],
            item_id=["i0", "i1", "i1", "i0"], score=[0.9, 0.5, 0.8, 0.8], reason=["popular"] * 4,
            model_version=["1"] * 4, as_of=[AS_OF] * 4,
        ),
        made(
            t.QUARANTINE, table=["events"], locator=["a.csv row 7"], column=["value"], reason=["not a number"],
            run_id=["r"],
        ),
    )  # fmt: skip
    return dict(zip(TABLES_IN_ORDER, frames, strict=True))


TABLES_IN_ORDER = (
    "events", "users", "items", "texts", "edges", "user_features", "user_embeddings", "user_vectors", "assignments",
    "segments", "transitions", "recommendations", "user_recommendations", "quarantine",
)  # fmt: skip
assert set(TABLES_IN_ORDER) == set(TABLES)


def with_cell(frame: pl.DataFrame, column: str, value, row: int = 0) -> pl.DataFrame:
    """The frame with one cell replaced."""
    cells = frame[column].to_list()
    cells[row] = value
    return frame.with_columns(pl.Series(column, cells, frame.schema[column]))
