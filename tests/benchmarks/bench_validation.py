"""The expectations of events: one Polars pass a bucket against Great Expectations' own pandas pass over the rows.

Run `python -m tests.benchmarks.bench_validation [events]`; prints seconds for the same checks, imports excluded.
"""

import os
import sys
import time
from datetime import UTC, datetime

os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import great_expectations.expectations as gxe
import numpy as np
import polars as pl
import pyarrow as pa

import expectations
from schemas import tables as t
from schemas.config import ValidateConfig
from tasks.sources import synthetic
from tasks.validation.run import run, validate

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
BUCKETS = 8


def buckets(events: int) -> tuple[list[pl.DataFrame], pl.DataFrame]:
    config = synthetic.Config(users=max(events // 50, 1), items=5_000)
    source = synthetic.read(config)
    whole = pl.from_arrow(pa.Table.from_batches(list(source["events"])))
    parts = whole.with_columns(b=pl.col(t.USER_ID).hash() % BUCKETS).partition_by("b", include_key=False)
    return parts, pl.from_arrow(pa.Table.from_batches(list(source["items"]))).select(t.ITEM_ID, t.TITLE, t.CATEGORIES)


def row_suite(items: list[str]) -> gx.ExpectationSuite:
    """The same checks as Great Expectations states them on rows."""
    made = [gxe.ExpectColumnValuesToNotBeNull(column=name) for name in t.EVENTS.required]
    made += [gxe.ExpectColumnValueLengthsToBeBetween(column=name, min_value=1) for name in (t.USER_ID, t.ITEM_ID)]
    made.append(gxe.ExpectColumnMaxToBeBetween(column=t.VALUE, max_value=3.4e38))
    made.append(gxe.ExpectColumnMinToBeBetween(column=t.VALUE, min_value=-3.4e38))
    made.append(gxe.ExpectColumnMaxToBeBetween(column=t.TIMESTAMP, max_value=AS_OF))
    made.append(gxe.ExpectColumnMinToBeBetween(column=t.TIMESTAMP, min_value=datetime(1986, 1, 1, tzinfo=UTC)))
    made.append(gxe.ExpectColumnValuesToBeInSet(column=t.ITEM_ID, value_set=items, mostly=0.5))
    made.append(gxe.ExpectColumnMeanToBeBetween(column=t.VALUE, min_value=0))
    made.append(gxe.ExpectColumnStdevToBeBetween(column=t.VALUE, min_value=0))
    made.append(gxe.ExpectTableRowCountToBeBetween(min_value=1))
    for number, expectation in enumerate(made):
        expectation.meta = {"rule": f"r{number}", "severity": "error"}
    return gx.ExpectationSuite(name="rows", expectations=made)


def main(events: int) -> None:
    parts, items = buckets(events)
    rows = sum(part.height for part in parts)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        report, _ = validate(
            {"events": parts, "items": [items]}, expectations.suites(), ValidateConfig(), AS_OF, None, None
        )
        seconds.append(time.perf_counter() - start)
    assert report.passed
    ours = float(np.median(seconds))
    start = time.perf_counter()
    frames = [part.to_pandas() for part in parts]
    converted = time.perf_counter() - start
    start = time.perf_counter()
    for frame in frames:
        assert all(result.passed for result in run(row_suite(items[t.ITEM_ID].to_list()), frame, "rows", "events"))
    theirs = time.perf_counter() - start
    print(f"{rows:,} events in {BUCKETS} buckets: one pass and suite {ours:.2f} s (median of 3); ")
    print(f"Great Expectations on the rows {theirs:.2f} s + {converted:.2f} s to pandas; ratio {theirs / ours:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
