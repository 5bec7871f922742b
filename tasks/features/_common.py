"""What all feature families share: the shape of the answer.

A family is a module with `REQUIRES` (input tables without which it is switched off), `Config`, and
`partial -> merge -> finish` (the fit, over buckets) and `transform` (one bucket). `transform` answers with one row for
every user of `population(bucket, as_of)`, sorted by user: the user's id and Float32 columns in exactly the order of
`state.meta["columns"]`, null where a value is unknown (never NaN or infinite). What ages counts from each user's own
present (`numerics.history.clock`), which is `as_of` unless the bucket was cut.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.errors import DataError, UsageError
from schemas.tables import USER_ID, Bucket
from tasks.numerics.keys import locate

if TYPE_CHECKING:
    import polars as pl


class FamilyConfig(Section):
    """What every family's `Config` has beside its own fields."""

    columns: tuple[str, ...] | None = Field(None, description="output columns to keep, by name; none: all of them")


def answer(
    users: "pl.Series", known: "pl.Series", values: Mapping[str, np.ndarray], columns: Sequence[str]
) -> "pl.DataFrame":
    """The frame that `transform` returns.

    Args:
        users: Population, sorted, distinct: the rows of the answer.
        known: Users that `values` speak of, sorted, distinct, a subset of `users`.
        values: Column -> (n_known,) numbers; NaN and infinity mean unknown.
        columns: `state.meta["columns"]`: which columns, in which order.

    Returns:
        Frame of user_id and Float32 columns; null for users not in `known`.
    """
    import polars as pl

    rows = locate(users, known)
    made = []
    for name in columns:
        full = np.full(len(users), np.nan, np.float32)
        with np.errstate(over="ignore"):
            full[rows] = values[name]
        full[~np.isfinite(full)] = np.nan
        made.append(pl.Series(name, full))
    # One expression for all columns: a request for one user would spend most of its time on a hundred small ones.
    return pl.DataFrame([users.alias(USER_ID), *made]).with_columns(pl.exclude(USER_ID).fill_nan(None))


def chosen(columns: Sequence[str], config: FamilyConfig, family: str) -> list[str]:
    """`columns` limited to what the config keeps, in the family's own order; UsageError for a name it does not make."""
    if config.columns is None:
        return list(columns)
    unknown = sorted(set(config.columns) - set(columns))
    if unknown:
        raise UsageError(
            f"features.{family}.columns: no column {', '.join(unknown)} on this data; there are {', '.join(columns)}"
        )
    return [column for column in columns if column in config.columns]


def require(bucket: Bucket, tables: Sequence[str], family: str) -> None:
    """DataError where a table that the family needs is missing: such a family is switched off before it is called."""
    missing = [table for table in tables if table not in bucket]
    if missing:
        raise DataError(f"features.{family} needs the table {', '.join(missing)}: give it, or switch the family off")
