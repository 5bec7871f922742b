"""Spoils event rows: exactly the asked number of each kind, spread evenly, one kind a row."""

from math import gcd
from typing import TYPE_CHECKING

import numpy as np

from schemas import tables as t
from tasks.sources._synthetic_config import Config

if TYPE_CHECKING:
    import pyarrow as pa

UNKNOWN_EVENT = "no such event"
UNKNOWN_ITEM = "no such item"
_YEAR_9999 = 253_402_214_400_000_000
_YEAR_1938 = -1_000_000_000_000_000
_TEXTS: dict[str, tuple[str, str | None]] = {
    "null_users": (t.USER_ID, None),
    "empty_users": (t.USER_ID, ""),
    "null_items": (t.ITEM_ID, None),
    "unknown_items": (t.ITEM_ID, UNKNOWN_ITEM),
    "unknown_events": (t.EVENT, UNKNOWN_EVENT),
}
_VALUES: dict[str, float | None] = {
    "null_values": None,
    "nan_values": np.nan,
    "inf_values": np.inf,
    "huge_values": 1e308,
}


def dirt_counts(config: Config, rows: int) -> dict[str, int]:
    """Rows of each kind of dirt among `rows` events: floor(share x rows)."""
    return {kind: int(share * rows + 1e-9) for kind, share in config.dirt.model_dump().items()}


class Spoiler:
    """Turns clean columns into Arrow batches with the planted dirt.

    Spoilt rows stand at floor(d N / D) + 1 for d = 0 ... D - 1, so at most every other row is spoilt and the row
    before a spoilt one is clean: a duplicate repeats a clean row.
    """

    def __init__(self, config: Config, rows: int) -> None:
        self._rows = rows
        planned = {kind: count for kind, count in dirt_counts(config, rows).items() if count}
        self._kinds = list(planned)
        self._ends = np.cumsum(list(planned.values()), dtype=np.int64) if planned else np.empty(0, np.int64)
        self._total = int(self._ends[-1]) if planned else 0
        # a step coprime to the total walks through all of them in a mixed order
        self._step = next(s for s in range(int(self._total * 0.618) + 1, self._total + 2) if gcd(s, self._total) == 1)
        end = int(config.as_of.timestamp()) + config.moment * config.days * 86_400
        self._times = {"future": (end + 400 * 86_400) * 1_000_000, "negative": _YEAR_1938, "year_9999": _YEAR_9999}
        self._carry: dict[str, object] = {}

    def batch(self, columns: "dict[str, np.ndarray | pa.Array]", first: int) -> "pa.RecordBatch":
        """One Arrow batch from the columns of rows `first` (from 0) onwards."""
        import pyarrow as pa

        made = {name: pa.array(column) for name, column in columns.items()}
        n = len(made[t.TIMESTAMP])
        last = {name: column[-1] for name, column in made.items()}
        for kind, rows in self._spoilt(first, n).items():
            self._spoil(made, kind, rows)
        self._carry = last
        made[t.SEQUENCE] = pa.array(np.arange(first + 1, first + n + 1))
        schema = t.EVENTS.arrow_schema()
        schema = pa.schema([field.with_nullable(True) for field in schema])
        schema = schema.with_metadata({b"origin": b"synthetic:events", b"first_row": str(first + 1).encode()})
        return pa.record_batch([made[f.name].cast(f.type) for f in schema], schema=schema)

    def _spoilt(self, first: int, n: int) -> dict[str, np.ndarray]:
        """Rows of this batch (from 0) to spoil, by kind."""
        if not self._total:
            return {}
        low = max(0, -(-(first - 1) * self._total // self._rows))
        high = -(-(first + n - 1) * self._total // self._rows)
        d = np.arange(low, min(high, self._total), dtype=np.int64)
        rows = d * self._rows // self._total + 1 - first
        kind = np.searchsorted(self._ends, d * self._step % self._total, side="right")
        return {name: rows[kind == i] for i, name in enumerate(self._kinds) if (kind == i).any()}

    def _spoil(self, made: "dict[str, pa.Array]", kind: str, rows: np.ndarray) -> None:
        import pyarrow as pa

        if kind == "duplicates":
            for name in made:
                made[name] = self._repeated(made[name], name, rows)
        elif kind in _TEXTS:
            name, text = _TEXTS[kind]
            made[name] = _replaced(made[name], rows, pa.scalar(text, pa.string()))
        elif kind in _VALUES:
            made[t.VALUE] = _replaced(made[t.VALUE], rows, pa.scalar(_VALUES[kind], pa.float64()))
        else:
            moment = self._times.get(kind)
            made[t.TIMESTAMP] = _replaced(made[t.TIMESTAMP], rows, pa.scalar(moment, pa.int64()))

    def _repeated(self, column: "pa.Array", name: str, rows: np.ndarray) -> "pa.Array":
        """The column where each of `rows` holds what the row before it holds, which may end the batch before."""
        import pyarrow as pa

        source = np.arange(len(column))
        source[rows] -= 1
        if len(rows) and source[0] < 0:
            carried = pa.array([self._carry[name].as_py()], column.type)  # type: ignore[attr-defined]
            return pa.concat_arrays([carried, column]).take(pa.array(source + 1))
        return column.take(pa.array(source))


def _replaced(column: "pa.Array", rows: np.ndarray, value: "pa.Scalar") -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = np.zeros(len(column), dtype=bool)
    mask[rows] = True
    return pc.if_else(pa.array(mask), value, column)
