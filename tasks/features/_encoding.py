"""From one attribute column to numbers: scaled, ranked, one-hot or hashed; with an indicator of what was missing."""

import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from schemas.config import Section
from schemas.tables import MISSING
from tasks.features._summary import Role, Summary
from tasks.numerics.robust import center_and_spread, is_skewed

if TYPE_CHECKING:
    import polars as pl

SKEW = 2.0  # of an exponential distribution: amounts and counts lie above, measures of the body below


class Encoding(Section):
    """How one column of users becomes output columns; plain data, kept in `State.meta`."""

    source: str = Field(description="column of the users table")
    role: Role = Field(description="how it is read")
    levels: tuple[str, ...] = Field((), description="ordinal: levels from low to high; else categories with a column")
    hashed: int = Field(0, description="columns that share the categories without one")
    center: float = Field(0.0, description="numeric: median")
    logged: bool = Field(False, description="numeric: log(1 + value) is taken first; negative values count as 0")
    scale: float = Field(1.0, description="numeric: 1.4826 MAD, or the standard deviation where that is 0")
    separator: str = Field("", description="multi-valued strings: what stands between values")
    missing: bool = Field(False, description="whether a column says that the value was missing")

    @property
    def outputs(self) -> list[str]:
        """Names of the output columns, in order."""
        stem = f"attributes_{self.source}"
        named = [stem] if self.role in ("numeric", "ordinal") else [f"{stem}={level}" for level in self.levels]
        return named + [f"{stem}#{j}" for j in range(self.hashed)] + [f"{stem}{MISSING}"] * self.missing


def categories(counts: Counter[str] | None, cap: int, hashed: int) -> tuple[tuple[str, ...], int]:
    """The `cap` most frequent values, ties by name, and how many hashed columns the rest needs."""
    if counts is None:
        return (), hashed
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    return tuple(ranked[:cap]), hashed if len(ranked) > cap else 0


def read(column: "pl.Series", role: Role, separator: str) -> "pl.Series":
    """The column as Float64 (numeric), String (ordinal, categorical) or List(String) (multi-valued).

    Empty strings, NaN and infinities are missing; so is a string that is no number in a numeric column.
    """
    import polars as pl

    if role == "numeric":
        numbers = column.cast(pl.Float64, strict=False)
        return numbers.set(~numbers.is_finite().fill_null(False), None)
    if role != "multi_valued":
        labels = column.cast(pl.String)
        return labels.set((labels == "").fill_null(False), None)
    if not isinstance(column.dtype, pl.List):
        labels = column.cast(pl.String)
        column = labels.set((labels == "").fill_null(False), None).str.split(separator)
    lists = column.cast(pl.List(pl.String)).list.eval(pl.element().filter(pl.element() != "")).list.unique()
    return lists.set((lists.list.len() == 0).fill_null(False), None)


def encode(column: "pl.Series", encoding: Encoding) -> dict[str, np.ndarray]:
    """Output column -> (n,) float64, NaN where unknown. Each user by itself.

    A missing value leaves its columns unknown and sets its indicator; a category that the fit never saw is 0 in all
    named columns.
    """
    values = read(column, encoding.role, encoding.separator)
    absent = values.is_null().to_numpy()
    if encoding.role == "numeric":
        numbers = values.to_numpy()
        numbers = np.log1p(np.maximum(numbers, 0.0)) if encoding.logged else numbers
        made = [(numbers - encoding.center) / encoding.scale]
    elif encoding.role == "ordinal":
        ranks = {level: rank for rank, level in enumerate(encoding.levels)}
        top = max(1, len(ranks) - 1)
        made = [np.array([ranks.get(v, np.nan) / top for v in values.to_list()], np.float64)]
        absent = np.isnan(made[0])
    else:
        made = _indicators(values, encoding)
    made = [np.where(absent, np.nan, each) for each in made]
    if encoding.missing:
        made.append(absent.astype(np.float64))
    return dict(zip(encoding.outputs, made, strict=True))


def _indicators(values: "pl.Series", encoding: Encoding) -> list[np.ndarray]:
    places = {level: j for j, level in enumerate(encoding.levels)}
    out = np.zeros((len(places) + encoding.hashed, len(values)))
    for row, value in enumerate(values.to_list()):
        for label in value if isinstance(value, list) else (value,):
            place = places.get(label)
            if place is None and encoding.hashed and label is not None:
                place = len(places) + zlib.crc32(label.encode()) % encoding.hashed
            if place is not None:
                out[place, row] = 1.0
    return list(out)


def fit_encoding(
    source: str,
    summary: Summary,
    users: int,
    cap: int,
    hashed: int,
    separator: str,
    levels: tuple[str, ...] | None = None,
) -> Encoding:
    """The encoding of a column that is neither constant nor empty; `levels` are those of an ordinal one."""
    facts: dict[str, Any] = {"source": source, "role": summary.role, "missing": summary.known < users}
    if summary.role == "numeric":
        logged = is_skewed(summary.values, SKEW)
        center, scale = center_and_spread(np.log1p(summary.values) if logged else summary.values)
        return Encoding(**facts, center=center, scale=scale or 1.0, logged=logged)
    if summary.role == "ordinal":
        return Encoding(**facts, levels=levels or ())
    named, rest = categories(summary.counts, cap, hashed)
    return Encoding(**facts, levels=named, hashed=rest, separator=separator)
