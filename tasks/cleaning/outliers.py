"""Extreme values by the robust z-score |x - median| / (1.4826 MAD) (Iglewicz and Hoaglin, 1993)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from schemas.config import IngestConfig
from schemas.errors import UsageError
from schemas.tables import Table

if TYPE_CHECKING:
    import polars as pl

Spread = tuple[float, float]
_NORMAL = 1.4826  # MAD of a normal distribution times this is its standard deviation


def spread(values: np.ndarray) -> Spread:
    """Median and scaled median absolute deviation of the finite values, both in the column's unit."""
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 0.0
    median = float(np.median(values))
    return median, float(_NORMAL * np.median(np.abs(values - median)))


def outlying(values: "pl.Series", of: Spread, z: float) -> "pl.Series":
    """Mask of the values whose robust z-score exceeds `z`; none where more than half of the values are equal."""
    median, scale = of
    if scale == 0:
        return values.is_null() & values.is_not_null()
    return ((values - median).abs() > z * scale).fill_null(False)


def check_policies(table: Table, config: IngestConfig, schema: "Mapping[str, pl.DataType]") -> None:
    """UsageError where a policy is about a column that is not there, or about extremes of a column without numbers."""
    for name in (*config.missing, *config.outliers) if schema else ():
        of, _, column = name.partition(".")
        if of == table.name and column not in schema:
            raise UsageError(f"ingest: there is no column {name} to have a policy; there are {', '.join(schema)}")
        if of == table.name and name in config.outliers and not schema[column].is_numeric():
            raise UsageError(f"ingest.outliers: {name} holds no numbers; name it in the source's numeric, if it does")
