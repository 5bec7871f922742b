"""What is said of the first rows of a source is what ingest does with them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.telling import words
from schemas.asked import Checked
from schemas.config import IngestConfig
from schemas.errors import DataError
from schemas.tables import TIMESTAMP, USER_ID, VALUE
from tasks.cleaning.reasons import Reason
from tasks.ingestion.rows import Look, ingest
from tasks.ingestion.sampling import sample
from tasks.sources import tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def source(root: Path, lines: list[str]) -> tables.Config:
    (root / "e.csv").write_text("user_id,item_id,timestamp,value\n" + "\n".join(lines) + "\n")
    (root / "u.csv").write_text("user_id,age,town\nu,31,X\n")
    users = {"path": "u.csv", "numeric": ["age"]}
    return tables.Config(root=str(root), events={"path": "e.csv"}, users=users)


def test_a_sample_is_told_as_ingest_takes_it(tmp_path):
    lines = [f"u{n},i,2024-05-{n + 1:02d},{n}" for n in range(9)] + ["nan,i,2024-05-01,1", "u,i,45292,1", "v,i,364,x"]
    config = source(tmp_path, [*lines, "NULL,i,2024-05-02,1"])
    events, users = sample(config, IngestConfig(), NOW)
    done = ingest(tables.read(config), IngestConfig(buckets=2), tmp_path / "out", Look("run", None, NOW))
    account = done.tables["events"].accounting
    assert (events.read, events.taken) == (account.read, account.accepted) == (13, 9)
    told = [(one.column, one.reason, one.rows, one.first) for one in events.aside]
    assert told == [
        (USER_ID, Reason.NO_ID, 2, "e.csv:10"),
        (TIMESTAMP, Reason.SERIAL_DATE, 1, "e.csv:11"),
        (TIMESTAMP, Reason.RELATIVE_TIME, 1, "e.csv:12"),
    ]
    assert events.share_aside == pytest.approx(4 / 13)
    assert events.times == (datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 9, tzinfo=UTC))
    assert (events.columns[TIMESTAMP], events.columns[VALUE]) == ("time", "number")
    assert users.columns == {USER_ID: "text", "age": "number", "town": "text"}
    assert users.times is None


def test_a_sample_ends_where_it_should_and_stops_as_ingest_would(tmp_path):
    config = source(tmp_path, ["u,i,2024-05-01,1"] * 50 + [",i,2024-05-01,1"])
    assert [one.read for one in sample(config, IngestConfig(), NOW, rows=50)] == [50, 1]
    assert sample(config, IngestConfig(), NOW, rows=50)[0].aside == ()
    config = source(tmp_path, ["u,i,2024-05-01,1.250", 'u,i,2024-05-01,"99,50"'])
    with pytest.raises(DataError, match="cannot both stand before a fraction"):
        sample(config, IngestConfig(), NOW)


def test_rows_of_wide_lines_are_told_with_their_lines(tmp_path):
    (tmp_path / "e.txt").write_text("a 1 2 3\nb 4\nc 5 6\nd 7\n")
    wide = {"path": "e.txt", "delimiter": "blanks", "header": ["user_id"], "wide": "item_id"}
    config = tables.Config(root=str(tmp_path), events={**wide, "defaults": {"timestamp": "2024-05-01"}})
    (told,) = sample(config, IngestConfig(), NOW)
    assert (told.read, told.lines) == (7, 4)
    checked = Checked(config="c.yaml", segmentation="s", parts={}, sample=(told,))
    assert "events: 7 of the first 7 rows, on 4 lines, would be taken" in [*words(checked)]
    (cut,) = sample(config, IngestConfig(), NOW, rows=5)
    assert (cut.read, cut.lines) == (5, 3)
    (tmp_path / "e.txt").write_text("a 1\nb 4\n")
    assert sample(config, IngestConfig(), NOW)[0].lines is None, "a row is a line"
