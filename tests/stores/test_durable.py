"""The pointer and what it names: on the disk in order, sealed, kept, and never taken for a first start."""

import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import DataError
from schemas.tables import TRANSITIONS
from tasks.disk.files import sealed, unsealed
from tasks.stores import pointer, tables
from tests.helpers.damage import said

AT = datetime(2026, 1, 1, tzinfo=UTC)


def steps(*users: str) -> pl.DataFrame:
    row = {"from_segment_id": None, "to_segment_id": "s001", "model_version": "1", "as_of": AT}
    return pl.DataFrame([{"user_id": user, **row} for user in users], schema=TRANSITIONS.polars_schema())


def promote(home: Path, version: str) -> pointer.Pointer:
    now = pointer.read(str(home), "x")
    base = now.live.tables["transitions"] if now.live else None
    named = {"transitions": tables.publish_onto(str(home), "x", "transitions", steps(version), base)}
    bundle = home / "artifacts" / "bundle" / version
    (bundle / "catalogue").mkdir(parents=True)
    (bundle / "catalogue" / "items.parquet").write_text("items")
    facts = {"bundle": f"artifacts/bundle/{version}", "sha256": "0" * 64, "run_id": "r", "users": 1}
    live = pointer.Live(
        model_version=version, tables=named, sums=tables.sums(str(home), "x", named), as_of=AT, promoted_at=AT, **facts
    )
    with pointer.changing(str(home), "x", now.revision) as current:
        return pointer.replace(str(home), "x", current, live, current.live)


def test_what_a_pointer_names_is_on_the_disk_before_it_is_replaced(tmp_path, monkeypatch):
    promote(tmp_path, "1")
    flushed: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def seen(handle: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    def renamed(self: Path, target: Path) -> Path:
        flushed.append(f"rename {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", seen)
    monkeypatch.setattr(Path, "replace", renamed)
    promote(tmp_path, "2")
    at = flushed.index("rename live.json")
    before, place = set(flushed[:at]), tmp_path / "segmentations" / "x"
    for folder in (place / "tables" / "transitions", tmp_path / "artifacts" / "bundle" / "2"):
        assert {str(path) for path in folder.rglob("*")} | {str(folder)} <= before
    assert str(tmp_path / "artifacts" / "bundle") in before
    assert Path(flushed[at - 1]).name.startswith(".live.json."), "its own content comes last"
    assert str(place) in flushed[at:], "and then its name"


def test_a_flipped_byte_anywhere_in_the_pointer_is_told(tmp_path):
    promote(tmp_path, "1")
    path = pointer.pointer_path(str(tmp_path), "x")
    whole, live = path.read_bytes(), pointer.read(str(tmp_path), "x")
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 3]) + whole[at + 1 :])
        told = said(lambda: pointer.read(str(tmp_path), "x") == live)
        assert told is True or (str(path) in told and "fenqun doctor --repair" in told)


def test_a_pointer_of_an_earlier_version_is_read(tmp_path):
    promote(tmp_path, "1")
    path = pointer.pointer_path(str(tmp_path), "x")
    content = unsealed(path.read_bytes())
    del content["live"]["sums"]
    path.write_text(pointer.Pointer.model_validate(content).model_dump_json(exclude={"live": {"sums"}}))
    for kept in pointer.revisions(str(tmp_path), "x"):
        kept.unlink()
    assert pointer.read(str(tmp_path), "x").live.sums == {}
    assert len(tables.published(str(tmp_path), "x", "transitions")) == 1
    assert promote(tmp_path, "2").revision == 2
    assert [int(kept.stem) for kept in pointer.revisions(str(tmp_path), "x")] == [1, 2]


@pytest.mark.parametrize("harm", ["empty", "missing", "older"])
def test_a_pointer_that_was_lost_is_no_first_start(tmp_path, harm):
    first = promote(tmp_path, "1")
    promote(tmp_path, "2")
    path = pointer.pointer_path(str(tmp_path), "x")
    if harm == "missing":
        path.unlink()
    else:
        path.write_text("" if harm == "empty" else sealed(first.model_dump(mode="json")))
    with pytest.raises(DataError, match=r"fenqun doctor --repair"):
        pointer.read(str(tmp_path), "x")


def test_a_first_promotion_that_was_killed_before_the_pointer_stays_a_first_start(tmp_path):
    tables.publish_onto(str(tmp_path), "x", "transitions", steps("a"), None)
    assert pointer.read(str(tmp_path), "x") == pointer.Pointer()
    assert promote(tmp_path, "1").revision == 1


def test_a_change_that_was_killed_before_it_was_kept_is_kept_by_the_next(tmp_path):
    promote(tmp_path, "1")
    (kept,) = pointer.revisions(str(tmp_path), "x")
    kept.unlink()
    promote(tmp_path, "2")
    assert len(pointer.revisions(str(tmp_path), "x")) == 2


def test_a_flipped_byte_in_a_published_table_is_told(tmp_path):
    promote(tmp_path, "1")
    path = tables.table_path(str(tmp_path), "x", "transitions")
    (data,), (log,) = path.glob("*.parquet"), path.glob("_delta_log/*.json")
    expected, told = tables.published(str(tmp_path), "x", "transitions"), 0
    for file, places in ((data, range(0, data.stat().st_size, 97)), (log, range(0, log.stat().st_size, 23))):
        whole = file.read_bytes()
        for at in places:
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 3]) + whole[at + 1 :])
            word = said(lambda: tables.published(str(tmp_path), "x", "transitions").equals(expected))
            assert word is True or str(path) in word
            told += word is not True
        file.write_bytes(whole)
    assert told > 50
    data.write_bytes(data.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"transitions: version 0 is damaged.*fenqun doctor --repair"):
        tables.published(str(tmp_path), "x", "transitions")
