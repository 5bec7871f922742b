"""Large files that changed in the middle are not taken for files that grew; numbers may have a decimal comma."""

from datetime import UTC, datetime

import polars as pl
import pytest

from schemas.config import IngestConfig, TextsConfig, ValidateConfig
from tasks.cleaning.reasons import Reason
from tasks.ingestion.rows import Look, ingest
from tasks.sources import tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = "user_id,item_id,event,timestamp\n"


@pytest.mark.parametrize("at", [0, 1111, 20_007, 33_333, 49_999])
def test_one_row_of_a_large_file_that_was_corrected_while_it_grew_is_seen(tmp_path, at):
    rows = [f"u{n:07d},i{n:0400d},view,2025-01-01T00:00:00Z\n" for n in range(50_000)]
    path, new = tmp_path / "e.csv", "new,i,view,2025-01-02T00:00:00Z\n"
    path.write_text(HEADER + "".join(rows))
    assert path.stat().st_size > 20 * 2**20
    config = tables.Config(root=str(tmp_path), events={"path": "e.csv"})
    then = tables.snapshot(config)
    path.write_text(HEADER + "".join([*rows, new]))
    assert tables.grown(config, then)
    assert sum(map(len, tables.read(config, then)["events"])) == 1
    rows[at] = rows[at].replace("view", "like")
    path.write_text(HEADER + "".join([*rows, new]))
    assert not tables.grown(config, then)


def test_a_decimal_comma_is_read_where_it_is_declared(tmp_path):
    (tmp_path / "e.csv").write_text(
        "user_id;item_id;event;timestamp;value\n"
        "a;i;buy;2025-01-01;3,5\nb;i;buy;2025-01-01;7\nc;i;buy;2025-01-01;-0,25\nd;i;buy;2025-01-01;1.000,5\n"
    )
    (tmp_path / "u.csv").write_text("user_id;income;town\na;1,5;x,y\n")
    comma = {"delimiter": ";", "decimal": ","}
    config = tables.Config(
        root=str(tmp_path), events={"path": "e.csv", **comma}, users={"path": "u.csv", "numeric": ["income"], **comma}
    )
    done = ingest(tables.read(config), IngestConfig(buckets=1), tmp_path / "out", Look("run", None, NOW))
    events = pl.read_parquet(tmp_path / "out/events/*.parquet").sort("user_id")
    assert dict(events.select("user_id", "value").iter_rows()) == {"a": 3.5, "b": 7.0, "c": -0.25}
    assert done.quarantine.select("locator", "reason").rows() == [("e.csv:4", Reason.POINT)]
    assert pl.read_parquet(tmp_path / "out/users/*.parquet").row(0) == ("a", 1.5, "x,y")


def test_a_category_of_ten_megabytes_is_set_aside_at_once(tmp_path):
    (tmp_path / "e.csv").write_text(HEADER + "a,i,view,2025-01-01\na,j,view,2025-01-01\n")
    (tmp_path / "i.csv").write_text(
        "item_id,categories\ni," + "x" * 10**7 + "\nj,tea|toys\nk," + "|".join(["y"] * 1001)
    )
    config = tables.Config(root=str(tmp_path), events={"path": "e.csv"}, items={"path": "i.csv"})
    done = ingest(tables.read(config), IngestConfig(buckets=1), tmp_path / "out", Look("run", None, NOW))
    assert done.quarantine.select("locator", "column").rows() == [("i.csv:1", "categories"), ("i.csv:3", "categories")]
    assert pl.read_parquet(tmp_path / "out/items/*.parquet")["categories"].to_list() == [["tea", "toys"]]


def test_words_of_a_config_are_those_of_the_data_in_whichever_form_they_are_written(tmp_path):
    (tmp_path / "e.csv").write_text(HEADER + "a,i,cafe\u0301,2025-01-01\nb,i,caf\u00e9,2025-01-01\n")
    for key in ("cafe\u0301", "caf\u00e9"):
        config = tables.Config(root=str(tmp_path), events={"path": "e.csv", "event_names": {key: "visit"}})
        done = ingest(tables.read(config), IngestConfig(buckets=1), tmp_path / "out", Look("run", None, NOW))
        assert done.tables["events"].rows == 2
        assert set(pl.read_parquet(tmp_path / "out/events/*.parquet")["event"]) == {"visit"}
    assert ValidateConfig(allowed_events=["cafe\u0301"]).allowed_events == ("caf\u00e9",)
    assert TextsConfig(event_weights={"cafe\u0301": 2}).event_weights == {"caf\u00e9": 2}
