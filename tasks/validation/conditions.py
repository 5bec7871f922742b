"""Conditions that no good row meets, as Polars expressions, by `column.condition`."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from schemas import tables as t
from schemas.config import ValidateConfig
from tasks.validation.dtypes import unfit

if TYPE_CHECKING:
    import polars as pl

_ALSO = {t.SEGMENT_ID: (t.TO_SEGMENT_ID,)}
"""Further columns that hold what the named one lists."""
NEAR = ("leading zeros", "capital letters", "spaces")
"""In what an id may differ from the one that is meant."""
FLOAT32_MAX = 3.4028234663852886e38
HUGE_NORM = 1e6
"""Longest vector that is believed; encoders and scalers stay below 1e3."""


def conditions(
    table: t.Table,
    columns: "Mapping[str, pl.DataType]",
    config: ValidateConfig,
    as_of: datetime,
    known: "Mapping[str, pl.Series] | None" = None,
) -> "dict[str, pl.Expr]":
    """Boolean expressions over the rows of one frame; a name is missing where its column is.

    Args:
        table: The table's contract.
        columns: Columns of the frame and their dtypes.
        config: Window and allowed events.
        as_of: UTC moment the run looks at.
        known: Legal values by column name, such as item ids.
    """
    import polars as pl

    made: dict[str, pl.Expr] = {}
    for column in table.columns:
        if column.name in columns and column.name not in unfit(table, columns):
            made |= {f"{column.name}.{name}": test for name, test in _of_column(column, config, as_of).items()}
    for name, values in (known or {}).items():
        for also in {name, *_ALSO.get(name, ())} & columns.keys():
            made[f"{also}.unlisted"] = pl.col(also).is_not_null() & ~pl.col(also).is_in(values.implode())
        if name == t.USER_ID and name in columns:
            made |= {f"{name}.{near}": made[f"{name}.unlisted"] & test for near, test in _near(values).items()}
    if table.key and set(table.key) <= columns.keys():
        made["key.duplicates"] = ~pl.struct(table.key).is_first_distinct()
    further = _OF_TABLE[table.name]() if table.name in _OF_TABLE else {}
    usable = columns.keys() - unfit(table, columns)
    return made | {name: test for name, test in further.items() if set(test.meta.root_names()) <= usable}


def _near(users: "pl.Series") -> "dict[str, pl.Expr]":
    """Users that another spelling would find, by what differs."""
    import polars as pl

    def same(change: "Callable[[pl.Expr], pl.Expr]") -> pl.Expr:
        return change(pl.col(t.USER_ID)).is_in(pl.select(change(pl.lit(users))).to_series().implode())

    return {
        NEAR[0]: same(lambda ids: ids.str.strip_chars_start("0")),
        NEAR[1]: same(lambda ids: ids.str.to_lowercase()),
        NEAR[2]: same(lambda ids: ids.str.replace_all(r"\s", "")),
    }


def _of_column(column: t.Column, config: ValidateConfig, as_of: datetime) -> "dict[str, pl.Expr]":
    import polars as pl

    cell = pl.col(column.name)
    made = {"nulls": cell.is_null()}
    if column.dtype == "string":
        made["empty"] = cell.cast(pl.String) == ""
    if column.dtype in ("float32", "float64"):
        made |= {"nonfinite": ~cell.is_finite(), "overflow": cell.is_finite() & (cell.abs() > FLOAT32_MAX)}
    if column.name == t.TIMESTAMP:
        made |= {"future": cell > as_of, "old": cell < as_of - timedelta(days=config.max_age_days)}
    if column.name == t.EVENT and config.allowed_events is not None:
        made["unknown"] = ~cell.cast(pl.String).is_in(list(config.allowed_events))
    if column.name == t.TEXT:
        made["blank"] = cell.str.strip_chars() == ""
    if column.name == t.VECTOR:
        norm = cell.list.eval(pl.element().cast(pl.Float64) ** 2).list.sum().sqrt()
        made |= {"nonfinite": ~norm.is_finite(), "huge": norm.is_finite() & (norm > HUGE_NORM), "zero": norm == 0}
    return made


def _nobody() -> "dict[str, pl.Expr]":
    import polars as pl

    spelt = [form for word in t.NOBODY for form in dict.fromkeys((word, word.upper(), word.capitalize()))]
    return {"user_id.nobody": pl.col(t.USER_ID).cast(pl.String).is_in(spelt)}


def _edges() -> "dict[str, pl.Expr]":
    import polars as pl

    return {"weight.nonpositive": pl.col(t.WEIGHT) <= 0, "dst.loops": pl.col(t.SRC) == pl.col(t.DST)}


def _embeddings() -> "dict[str, pl.Expr]":
    import polars as pl

    return {"vector.zero_with_text": pl.col(t.HAS_TEXT) & pl.col(t.VECTOR).list.eval(pl.element() == 0).list.all()}


def _assignments() -> "dict[str, pl.Expr]":
    import polars as pl

    assigned = pl.col(t.STATUS) == "assigned"
    return {
        "confidence.outside_unit": ~pl.col(t.CONFIDENCE).is_between(0, 1),
        "distance.negative": pl.col(t.DISTANCE) < 0,
        "status.unknown": ~pl.col(t.STATUS).is_in(["assigned", "unassigned"]),
        "segment_id.contradicts_status": assigned != pl.col(t.SEGMENT_ID).is_not_null(),
        "second_segment_id.same_as_first": pl.col(t.SECOND_SEGMENT_ID) == pl.col(t.SEGMENT_ID),
    }


def _segments() -> "dict[str, pl.Expr]":
    import polars as pl

    return {
        "size.nonpositive": pl.col(t.SIZE) <= 0,
        "share.outside_unit": ~pl.col(t.SHARE).is_between(0, 1),
        "name.repeated": ~pl.col(t.NAME).is_first_distinct(),
    }


def _transitions() -> "dict[str, pl.Expr]":
    import polars as pl

    return {"from_segment_id.silent": pl.col(t.FROM_SEGMENT_ID).eq_missing(pl.col(t.TO_SEGMENT_ID))}


def _lists(owner: str) -> "dict[str, pl.Expr]":
    """Of ranked lists, one for each value of a column."""
    import polars as pl

    before = pl.col(t.SCORE).sort_by(t.RANK).shift(1)
    return {
        "rank.nonpositive": pl.col(t.RANK) < 1,
        "rank.beyond_list": pl.col(t.RANK) > pl.len().over(owner),
        "item_id.repeated": ~pl.struct(owner, t.ITEM_ID).is_first_distinct(),
        "score.rises": (pl.col(t.SCORE).sort_by(t.RANK) > before + 1e-12).over(owner),
    }


_OF_TABLE: "Mapping[str, Callable[[], dict[str, pl.Expr]]]" = {
    "events": _nobody,
    "texts": _nobody,
    "edges": _edges,
    "user_embeddings": _embeddings,
    "assignments": _assignments,
    "segments": _segments,
    "transitions": _transitions,
    t.RECOMMENDATIONS.name: partial(_lists, t.SEGMENT_ID),
    t.USER_RECOMMENDATIONS.name: partial(_lists, t.USER_ID),
}
