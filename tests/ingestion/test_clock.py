"""A landing that depends on the clock does not outlive it: what was future is looked at again once it is past."""

from datetime import UTC, datetime

from schemas.artifacts import RunContext
from schemas.config import IngestConfig
from schemas.execution import ExecutionConfig
from tasks.ingestion.land import land
from tasks.sources import tables

ROWS = "user_id,item_id,event,timestamp,value\nu1,a,buy,2024-01-01T00:00:00Z,1\nu1,b,buy,{}-06-01T00:00:00Z,1\n"


def landed(root, home, now: datetime) -> int:
    run = RunContext(run_id="run", as_of=now, now=now, seed=0, code_version="c", home=str(home))
    config = tables.Config(root=str(root), events={"path": "events-*.csv"})
    return land(config, IngestConfig(buckets=2), None, run, ExecutionConfig(), None, "shop").tables["events"].rows


def test_a_row_of_the_future_is_let_in_once_its_moment_is_past(tmp_path):
    (tmp_path / "events-1.csv").write_text(ROWS.format(2025))
    for year, rows in ((2025, 1), (2026, 2), (2027, 2), (2025, 1)):
        assert landed(tmp_path, tmp_path / "home", datetime(year, 1, 1, tzinfo=UTC)) == rows


def test_without_rows_of_the_future_the_clock_makes_nothing_anew(tmp_path):
    (tmp_path / "events-1.csv").write_text(ROWS.format(2024))
    for year in (2025, 2026):
        assert landed(tmp_path, tmp_path / "home", datetime(year, 1, 1, tzinfo=UTC)) == 2
    assert len(list((tmp_path / "home" / "artifacts" / "ingest").iterdir())) == 1
