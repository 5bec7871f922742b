"""An increment reads only what is new, and gives what a full ingest gives."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from schemas.config import IngestConfig, OutlierPolicy, ValidateConfig
from schemas.errors import DataError
from schemas.runs import Landed
from schemas.tables import COLUMN, EVENT, EVENTS, ITEM_ID, REASON, RUN_ID, SEQUENCE, TABLE, TIMESTAMP, USER_ID, VALUE
from tasks.ingestion.increments import recall
from tasks.sources import tables
from tasks.stores.buckets import read_frames, read_table
from tests.helpers.landings import HEAD, account, facts, landed, line, rows, source


def same_as_full(found: Landed, config: tables.Config, home: Path, **options) -> None:
    """Buckets, accounts and quarantine are those of reading everything at once."""
    full = landed(config, home, name="", **options)
    assert facts(full)["added_to"] == []
    assert found.accounts == full.accounts
    assert found.as_of == full.as_of
    columns = [USER_ID, ITEM_ID, EVENT, TIMESTAMP, VALUE]
    for ours, theirs in zip(read_frames(found.tables[EVENTS.name]), read_frames(full.tables[EVENTS.name]), strict=True):
        assert ours.select(columns).equals(theirs.select(columns))
        assert ours[SEQUENCE].is_unique().all()
    noted = [read_table(one.quarantine).select(TABLE, COLUMN, REASON) for one in (found, full)]
    assert noted[0].sort(pl.all()).equals(noted[1].sort(pl.all()))


def test_an_increment_reads_only_what_is_new_and_equals_a_full_ingest(tmp_path, monkeypatch):
    (tmp_path / "events-1.csv").write_text(HEAD + line("u1", 5) + line("u2", 6) + line("u3", 7, year=2001) + ",,,,\n")
    rules, config = ValidateConfig(max_age_days=365.0), source(tmp_path)
    landed(config, tmp_path / "home", rules=rules)
    late = line("u1", 2) + line("u9", 8) + line("u2", 6) + line("u4", 1, year=2002)  # late, new, repeated, too old
    (tmp_path / "events-2.csv").write_text(HEAD + late)
    with (tmp_path / "events-1.csv").open("a") as file:
        file.write(line("u1", 4))
    read: list[int] = []
    real = tables.read
    monkeypatch.setattr(tables, "read", lambda *given: _counting(real(*given), read))
    found = landed(config, tmp_path / "home", "second", rules=rules)
    monkeypatch.undo()
    assert sum(read) == 5
    assert account(found) == (9, 6, 3, 0)
    assert facts(found)["added_to"] == ["events"]
    assert set(read_table(found.quarantine)[RUN_ID]) == {"run", "second"}
    same_as_full(found, config, tmp_path / "other", rules=rules)
    user = rows(found).filter(pl.col(USER_ID) == "u1")
    assert [day.day for day in user[TIMESTAMP]] == [2, 4, 5]


def test_a_new_day_of_parquet_opens_that_day_alone(tmp_path, monkeypatch):
    def day(number: int, rows: list[tuple[str, str, int]]) -> None:
        times = [datetime(2024, 1, when, tzinfo=UTC) for _, _, when in rows]
        frame = pl.DataFrame({USER_ID: [u for u, _, _ in rows], ITEM_ID: [i for _, i, _ in rows], TIMESTAMP: times})
        (tmp_path / f"day={number}").mkdir()
        frame.write_parquet(tmp_path / f"day={number}" / "part.parquet")

    for number in (1, 2, 3):
        day(number, [(f"u{user}", f"i{number}", number) for user in range(50)])
    config = tables.Config(root=str(tmp_path), events={"path": "day=*/*.parquet", "key": [ITEM_ID, TIMESTAMP]})
    landed(config, tmp_path / "home")
    late, repeated = ("u7", "late", 2), ("u8", "i2", 2)
    day(4, [late, repeated, ("new", "i4", 4)])
    opened: list[str] = []
    real = tables._file
    monkeypatch.setattr(tables, "_file", lambda place, *rest: (opened.append(place.name), real(place, *rest))[1])
    found = landed(config, tmp_path / "home", "second")
    monkeypatch.undo()
    assert opened == ["day=4/part.parquet"]
    assert account(found) == (153, 152, 0, 1)
    assert rows(found).filter(pl.col(USER_ID) == "u7")[ITEM_ID].to_list() == ["i1", "i2", "late", "i3"]
    same_as_full(found, config, tmp_path / "other")


def _counting(readers, seen: list[int]):
    def each(batches):
        for batch in batches:
            seen.append(len(batch))
            yield batch

    return {name: each(batches) for name, batches in readers.items()}


def test_many_increments_in_a_row_with_repeats_dropped(tmp_path):
    config, ingest = source(tmp_path), IngestConfig(buckets=3, repeats="drop")
    for day in range(1, 6):
        lines = [line(f"u{user}", day, item=f"i{user % 3}") for user in range(day + 4)]
        (tmp_path / f"events-{day}.csv").write_text(HEAD + "".join(lines) + line("u0", 1, item="i0"))
        found = landed(config, tmp_path / "home", f"run{day}", ingest=ingest)
    assert facts(found)["added_to"] == ["events"]
    assert account(found)[3] == 5
    same_as_full(found, config, tmp_path / "other", ingest=ingest)


def test_users_are_read_whole_and_their_changes_taken(tmp_path):
    (tmp_path / "events-1.csv").write_text(HEAD + line("u1", 1) + line("u2", 1))
    (tmp_path / "users.csv").write_text("user_id,town\nu1,A\nu2,A\n")
    config = tables.Config(root=str(tmp_path), events={"path": "events-*.csv"}, users={"path": "users.csv"})
    landed(config, tmp_path / "home")
    (tmp_path / "events-2.csv").write_text(HEAD + line("u3", 2))
    (tmp_path / "users.csv").write_text("user_id,town\nu1,B\nu2,A\nu3,C\n")
    found = landed(config, tmp_path / "home", "second")
    assert facts(found)["added_to"] == ["events"]
    assert account(found, "users") == (3, 3, 0, 0)
    assert sorted(read_table(found.tables["users"]).rows()) == [("u1", "B"), ("u2", "A"), ("u3", "C")]


@pytest.mark.parametrize("change", ["rewritten", "removed", "settings", "outliers", "future", "as_of", "gone", "key"])
def test_where_it_is_not_sure_everything_is_read_again(tmp_path, change):
    early = datetime(2024, 1, 2, tzinfo=UTC) if change == "as_of" else None
    key = {"key": ("order",), "columns": {}} if change == "key" else {}
    head = HEAD.replace("value", "value,order") if change == "key" else HEAD
    end = ",77\n" if change == "key" else "\n"
    (tmp_path / "events-1.csv").write_text(head + line("u1", 3).replace("\n", end))
    (tmp_path / "events-2.csv").write_text(
        head + line("u2", 4, year=2999 if change == "future" else 2024).replace("\n", end)
    )
    config, home = source(tmp_path, **key), tmp_path / "home"
    policies = {"events.value": OutlierPolicy(action="quarantine")} if change == "outliers" else {}
    ingest = IngestConfig(buckets=3, outliers=policies)
    first = landed(config, home, ingest=ingest)
    (tmp_path / "events-3.csv").write_text(head + line("u3", 1).replace("\n", end))
    if change == "rewritten":
        (tmp_path / "events-1.csv").write_text(head + line("u9", 3))
    elif change == "removed":
        (tmp_path / "events-1.csv").unlink()
    elif change == "settings":
        ingest = IngestConfig(buckets=4)
    elif change == "gone":
        next(Path(first.tables[EVENTS.name].path).glob("bucket-*")).unlink()
    found = landed(config, home, "second", ingest=ingest, as_of=early)
    assert facts(found)["added_to"] == []
    same_as_full(found, config, tmp_path / "other", ingest=ingest, as_of=early)


def test_an_unreadable_memory_is_no_memory(tmp_path):
    (tmp_path / "events-1.csv").write_text(HEAD + line("u1", 1))
    landed(source(tmp_path), tmp_path / "home")
    memory = tmp_path / "home" / "segmentations" / "shop" / "landed.json"
    assert recall(str(tmp_path / "home"), "shop") is not None
    memory.write_text(memory.read_text()[:20])
    assert recall(str(tmp_path / "home"), "shop") is None
    (tmp_path / "events-2.csv").write_text(HEAD + line("u2", 2))
    assert account(landed(source(tmp_path), tmp_path / "home")) == (2, 2, 0, 0)


def test_a_source_that_is_written_to_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    file = tmp_path / "events-1.csv"
    file.write_text(HEAD + line("u1", 1))
    real = tables.read

    def read(*given):
        with file.open("a") as handle:
            handle.write(line("u2", 2))
        return real(*given)

    monkeypatch.setattr(tables, "read", read)
    assert account(landed(source(tmp_path), tmp_path / "home"))[0] == 2
    monkeypatch.undo()
    with file.open("a") as handle:
        handle.write(line("u3", 3))
    found = landed(source(tmp_path), tmp_path / "home", "second")
    assert account(found) == (3, 3, 0, 0)
    same_as_full(found, source(tmp_path), tmp_path / "other")


def test_a_failed_landing_is_not_remembered(tmp_path):
    (tmp_path / "events-1.csv").write_text(HEAD + line("u1", 1))
    landed(source(tmp_path), tmp_path / "home")
    before = recall(str(tmp_path / "home"), "shop")
    (tmp_path / "events-2.csv").write_text("user_id,item_id\n")
    with pytest.raises(DataError):
        landed(source(tmp_path), tmp_path / "home")
    assert recall(str(tmp_path / "home"), "shop") == before
