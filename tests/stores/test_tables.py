"""Published tables: contract kept, history kept."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import DataError
from schemas.tables import ASSIGNMENTS, SEGMENTS
from tasks.stores import tables


def assignments(segment: str, n: int = 3) -> pl.DataFrame:
    rows = [
        {
            "user_id": f"u{i}", "segment_id": segment, "confidence": 0.5, "distance": 1.0, "second_segment_id": None,
            "status": "assigned", "reasons": ["r"], "model_version": "1", "as_of": datetime(2026, 1, 1, tzinfo=UTC),
        }
        for i in range(n)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=ASSIGNMENTS.polars_schema())


def test_each_version_stays_readable(tmp_path: Path):
    first = tables.publish(str(tmp_path), "shop", "assignments", assignments("s001"))
    second = tables.publish(str(tmp_path), "shop", "assignments", assignments("s002", 5))
    assert (first, second) == (0, 1)
    assert tables.read(str(tmp_path), "shop", "assignments", 0).equals(assignments("s001"))
    assert tables.read(str(tmp_path), "shop", "assignments").equals(assignments("s002", 5))


def test_appending_adds_rows(tmp_path: Path):
    for _ in range(2):
        tables.publish(str(tmp_path), "shop", "assignments", assignments("s001"), append=True)
    assert len(tables.read(str(tmp_path), "shop", "assignments")) == 6


def test_a_frame_without_a_contract_column_is_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(DataError, match="status"):
        tables.publish(str(tmp_path), "shop", "assignments", assignments("s001").drop("status"))
    assert not tables.table_path(str(tmp_path), "shop", "assignments").exists()


def test_reading_what_was_never_published_says_what_to_do(tmp_path: Path):
    with pytest.raises(DataError, match="fenqun retrain"):
        tables.read(str(tmp_path), "shop", SEGMENTS.name)


@pytest.mark.parametrize("name", ["with space", "grüße 分群", "a#b", "a?b"])
def test_the_state_folder_may_have_any_name(tmp_path: Path, name: str):
    home = str(tmp_path / name)
    tables.publish(home, "shop", "assignments", assignments("s001"))
    tables.publish_onto(home, "shop", "assignments", assignments("s002"), 0)
    assert tables.read(home, "shop", "assignments", 0).equals(assignments("s001"))
    assert len(tables.read(home, "shop", "assignments")) == 6


@pytest.mark.parametrize("letter", range(1, 128))
def test_what_is_published_in_the_place_of_damage_is_whole_wherever_a_file_was_misnamed(tmp_path: Path, letter: int):
    """A log whose names of files are damaged can be written on; the new version then names one that is gone, too."""
    home = str(tmp_path)
    tables.publish(home, "seg", ASSIGNMENTS.name, assignments("s001"))
    (log,) = (tables.table_path(home, "seg", ASSIGNMENTS.name) / "_delta_log").glob("*.json")
    text = log.read_bytes()
    place = text.index(b'"path":"part-') + len('"path":"part-00000-')
    log.write_bytes(text[:place] + bytes([letter]) + text[place + 1 :])
    version = tables.publish_anew(home, "seg", ASSIGNMENTS.name, assignments("s002", 5))
    assert tables.read(home, "seg", ASSIGNMENTS.name, version).equals(assignments("s002", 5))
    assert tables.sums(home, "seg", {ASSIGNMENTS.name: version}).keys() == {ASSIGNMENTS.name}
