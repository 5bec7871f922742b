"""One Polars pass over a bucket counts everything the expectations ask; counts of buckets add up."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import reduce
from typing import TYPE_CHECKING

from schemas import tables as t
from schemas.config import ValidateConfig
from schemas.facts import Facts, Moments
from tasks.cleaning.twice import histories, repeated, smallest
from tasks.validation.conditions import conditions
from tasks.validation.dtypes import unfit

if TYPE_CHECKING:
    import polars as pl

_SHARED = {"events": (t.EVENT,), "texts": (t.KIND,), "assignments": (t.SEGMENT_ID, t.STATUS)}
"""Few-valued columns whose shares are compared with the previous run."""
_MAX_VALUES = 10_000


def partial(
    frame: "pl.DataFrame",
    table: t.Table,
    config: ValidateConfig,
    as_of: datetime,
    known: "Mapping[str, pl.Series] | None" = None,
) -> Facts:
    """Counts of one frame. Rows with equal keys must stand in one frame, as they do in a bucket.

    Args:
        frame: Rows of the table.
        table: The table's contract.
        config: Window and allowed events.
        as_of: UTC moment the run looks at.
        known: Legal values by column name; adds `<column>.unlisted`.
    """
    schema = dict(frame.schema)
    tests = conditions(table, schema, config, as_of, known)
    counted = frame.lazy().select(test.fill_null(False).sum().alias(name) for name, test in tests.items()).collect()
    counts = {name: int(value or 0) for name, value in counted.row(0, named=True).items()} if tests else {}
    return Facts(
        table=table.name,
        rows=frame.height,
        columns={name: str(dtype) for name, dtype in schema.items()},
        unfit=unfit(table, schema),
        counts=counts | _attributes(frame, table),
        first=_locators(frame, {name: tests[name] for name, count in counts.items() if count}),
        moments=_moments(frame),
        shares=_shares(frame, table),
        histories=histories(frame, table) if table.name in t.REPEATING else {},
    )


def merge(a: Facts, b: Facts) -> Facts:
    """Facts of both frames together."""
    moments = {
        name: a.moments[name].merge(b.moments[name]) if name in a.moments and name in b.moments else either[name]
        for either in (a.moments, b.moments)
        for name in either
    }
    shares = {
        name: dict(Counter(a.shares.get(name, {})) + Counter(b.shares.get(name, {}))) for name in a.shares | b.shares
    }
    counts = dict(a.counts)
    for name, count in b.counts.items():
        counts[name] = counts.get(name, 0) + count
    return a.model_copy(
        update={
            "rows": a.rows + b.rows,
            "columns": a.columns | b.columns,
            "unfit": tuple(sorted({*a.unfit, *b.unfit})),
            "counts": counts,
            "first": b.first | a.first,
            "moments": moments,
            "shares": shares,
            "histories": smallest(Counter(a.histories) + Counter(b.histories)),
        }
    )


def merge_all(parts: list[Facts]) -> Facts:
    """Facts of a whole table from one or more of its frames."""
    return reduce(merge, parts)


def _locators(frame: "pl.DataFrame", broken: "dict[str, pl.Expr]") -> dict[str, str]:
    """Row number, from 1, of the first row that breaks a condition: the source's where it is known."""
    import polars as pl

    if not broken:
        return {}
    numbered = t.SEQUENCE in frame.columns
    number = pl.col(t.SEQUENCE) if numbered else pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    row = frame.select(number.filter(test.fill_null(False)).min().alias(name) for name, test in broken.items()).row(
        0, named=True
    )
    word = "source row" if numbered else "bucket row"
    return {name: f"{word} {value}" for name, value in row.items()}


def _numeric(schema: "Mapping[str, pl.DataType]") -> list[str]:
    return [name for name, dtype in schema.items() if dtype.is_numeric() and name not in (t.SEQUENCE, t.RANK)]


def _moments(frame: "pl.DataFrame") -> dict[str, Moments]:
    """Moments of the finite values; beyond 1e100 a square would overflow, and such cells are counted elsewhere."""
    import numpy as np
    import polars as pl

    made = {}
    for name in _numeric(frame.schema):
        cells = frame[name].cast(pl.Float64).to_numpy()  # null becomes NaN
        with np.errstate(invalid="ignore"):
            cells = cells[np.abs(cells) < 1e100]
        if len(cells):
            made[name] = Moments(n=len(cells), mean=float(cells.mean()), m2=float(cells.var() * len(cells)))
    return made


def _shares(frame: "pl.DataFrame", table: t.Table) -> dict[str, dict[str, int]]:
    import polars as pl

    made = {}
    for name in _SHARED.get(table.name, ()):
        if name in frame.columns:
            counted = frame[name].cast(pl.String).drop_nulls().value_counts(sort=True).head(_MAX_VALUES)
            made[name] = dict(counted.iter_rows())
    if table.name == t.SEGMENTS.name and {t.SEGMENT_ID, t.SIZE} <= set(frame.columns):
        made[t.SIZE] = dict(frame.select(t.SEGMENT_ID, t.SIZE).drop_nulls().iter_rows())
    if t.VECTOR in frame.columns:
        made["vector.lengths"] = {
            str(length): count for length, count in frame[t.VECTOR].list.len().value_counts().iter_rows()
        }
    return made


def _attributes(frame: "pl.DataFrame", table: t.Table) -> dict[str, int]:
    """Counts that are not conditions of one column: over all columns of open tables, and rows that say something."""
    made = _of_open(frame, table) if table.open else {}
    if table.name in t.REPEATING:
        made["repeated rows"] = repeated(frame)
    if table.name == t.ITEMS.name and {t.TITLE, t.CATEGORIES} & set(frame.columns):
        made["undescribed rows"] = _undescribed(frame)
    if t.HAS_TEXT in frame.columns:
        made["has_text rows"] = int(frame[t.HAS_TEXT].sum() or 0)
    return made


def _of_open(frame: "pl.DataFrame", table: t.Table) -> dict[str, int]:
    """Non-finite cells over all columns that the contract does not name, and the filled cells of each."""
    schema = {name: dtype for name, dtype in frame.schema.items() if name not in table.names}
    floats = [name for name, dtype in schema.items() if dtype.is_float()]
    bad = sum(int((~frame[name].is_finite()).sum()) for name in floats)
    filled = {f"filled {name}": frame.height - frame[name].null_count() for name in schema}
    return {"attributes.nonfinite": bad, **filled}


def _undescribed(frame: "pl.DataFrame") -> int:
    """Items without a title and without a category."""
    import polars as pl

    empty = []
    if t.TITLE in frame.columns:
        empty.append(pl.col(t.TITLE).is_null() | (pl.col(t.TITLE) == ""))
    if t.CATEGORIES in frame.columns:
        empty.append(pl.col(t.CATEGORIES).is_null() | (pl.col(t.CATEGORIES).list.len() == 0))
    return int(frame.select(pl.all_horizontal(empty).sum()).item())
