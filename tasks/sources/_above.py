"""Empty cells that mean the value above, as on the further lines of an order."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from schemas.batches import PROBLEM, ROW

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


def filled(batches: "Iterator[pa.RecordBatch]", names: Sequence[str]) -> "Iterator[pa.RecordBatch]":
    """Batches of one file whose empty cells in some columns are filled with the nearest value above.

    A row that could not be read parts what is above it from what is below: nobody knows what it said.

    Args:
        batches: Rows with their numbers; rows that could not be read come in batches of their own, with a problem.
        names: The columns.
    """
    import polars as pl

    last: dict[str, Any] = {}
    for batch in batches:
        if PROBLEM in batch.schema.names or not len(batch):
            yield batch
            continue
        rows = pl.Series(ROW, batch[ROW].to_numpy())
        runs = (rows.diff() != 1).fill_null(False).cum_sum()
        above = last if last.get(ROW) == rows[0] - 1 else {}
        last = {ROW: rows[-1]}
        for name in filter(batch.schema.names.__contains__, names):
            series = _filled(pl.Series(name, pl.from_arrow(batch[name])), runs, above.get(name))
            last[name] = series[-1]
            place = batch.schema.get_field_index(name)
            batch = batch.set_column(place, name, series.to_arrow().cast(batch[name].type))
        yield batch


def _filled(values: "pl.Series", runs: "pl.Series", above: Any) -> "pl.Series":
    """Values, each empty one as the nearest above it of its run; at the top of the first run, as what stands above."""
    import polars as pl

    each = pl.DataFrame({"run": runs, "value": values}).select(pl.col("value").forward_fill().over("run"))["value"]
    if above is None:
        return each
    return each.zip_with(each.is_not_null() | (runs > 0), pl.repeat(above, len(each), eager=True))
