"""Landing: rules of severity quarantine set rows aside, and an increment gives what a full ingest gives."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from schemas.artifacts import RunContext
from schemas.config import ExecutionConfig, IngestConfig, OutlierPolicy, ValidateConfig
from schemas.errors import DataError
from schemas.runs import Landed
from schemas.tables import (
    COLUMN,
    EVENT,
    EVENTS,
    ITEM_ID,
    LOCATOR,
    REASON,
    RUN_ID,
    SEQUENCE,
    TABLE,
    TIMESTAMP,
    USER_ID,
    VALUE,
)  # fmt: skip
from tasks.serving.increments import recall
from tasks.serving.landing import land
from tasks.serving.validating import check
from tasks.sources import synthetic, tables
from tasks.sources._synthetic_events import EVENT_NAMES
from tasks.stores.buckets import read_frames, read_table

HEAD = "user_id,item_id,event,timestamp,value\n"
CONFIG = IngestConfig(buckets=3)
EXECUTION = ExecutionConfig()


def context(home: Path, run_id: str = "run") -> RunContext:
    return RunContext(run_id=run_id, as_of=datetime(2026, 1, 1, tzinfo=UTC), seed=0, code_version="c", home=str(home))


def line(user: str, day: int, item: str = "a", event: str = "buy", year: int = 2024) -> str:
    return f"{user},{item},{event},{year}-01-{day:02d}T00:00:00Z,1.5\n"


def source(root: Path, **events) -> tables.Config:
    return tables.Config(root=str(root), events={"path": "events-*.csv", **events})


def landed(config, home: Path, run_id: str = "run", *, rules=None, ingest=CONFIG, as_of=None, name="shop") -> Landed:
    return land(config, ingest, as_of, context(home, run_id), EXECUTION, rules, name)


def facts(found: Landed) -> dict:
    first = next(iter(found.tables.values()))
    return json.loads((Path(first.path).parent / "landed.json").read_text())


def account(found: Landed, table: str = EVENTS.name) -> tuple[int, int, int, int]:
    one = next(account for account in found.accounts if account.table == table)
    assert one.balanced
    assert one.accepted == found.tables[table].rows
    return one.read, one.accepted, one.quarantined, one.deduplicated


def rows(found: Landed) -> pl.DataFrame:
    return read_table(found.tables[EVENTS.name])


# Rules of severity quarantine


def test_rows_that_break_such_a_rule_are_set_aside_and_counted(tmp_path):
    lines = [line("u1", 1), line("u2", 2, event="spam"), line("u3", 3, year=2001), line("u4", 4), line("", 5)]
    (tmp_path / "events-1.csv").write_text(HEAD + "".join(lines))
    rules = ValidateConfig(allowed_events=("buy",), max_age_days=365.0)
    found = landed(source(tmp_path), tmp_path / "home", rules=rules)
    assert account(found) == (5, 2, 3, 0)
    assert sorted(rows(found)[USER_ID]) == ["u1", "u4"]
    told = read_table(found.quarantine).sort(REASON)
    assert told.select(TABLE, COLUMN, RUN_ID).unique().height == 3
    assert set(zip(told[COLUMN], told[REASON], strict=True)) == {
        (USER_ID, "empty where a value is required"),
        (EVENT, "events.allowed_events"),
        (TIMESTAMP, "events.timestamp.old"),
    }
    assert dict(zip(told[REASON], told[LOCATOR], strict=True))["events.allowed_events"] == "row 2"
    assert found.quarantine.rows == 3


def test_severity_of_the_config_decides(tmp_path):
    (tmp_path / "events-1.csv").write_text(HEAD + line("u1", 1) + line("u2", 2, event="spam"))
    for severity, kept in (("warn", 2), ("off", 2), ("quarantine", 1)):
        rules = ValidateConfig(allowed_events=("buy",), severity={"events.allowed_events": severity})
        assert account(landed(source(tmp_path), tmp_path / "home", rules=rules))[1] == kept


def test_the_newest_event_that_stays_is_the_moment_to_look_at(tmp_path):
    (tmp_path / "events-1.csv").write_text(HEAD + line("u1", 1) + line("u2", 9, event="spam"))
    assert landed(source(tmp_path), tmp_path / "home").as_of == datetime(2024, 1, 9, tzinfo=UTC)
    found = landed(source(tmp_path), tmp_path / "home", rules=ValidateConfig(allowed_events=("buy",)))
    assert found.as_of == datetime(2024, 1, 1, tzinfo=UTC)


def test_nothing_left_is_told_with_the_rule(tmp_path):
    (tmp_path / "events-1.csv").write_text(HEAD + line("u1", 1))
    with pytest.raises(DataError, match=r"no rows are left in events: .*events\.allowed_events"):
        landed(source(tmp_path), tmp_path / "home", rules=ValidateConfig(allowed_events=("view",)))


def test_only_thresholds_that_set_rows_aside_make_it_land_again(tmp_path):
    (tmp_path / "events-1.csv").write_text(HEAD + line("u1", 1))
    paths = [
        landed(source(tmp_path), tmp_path / "home", rules=rules).tables[EVENTS.name].path
        for rules in (None, ValidateConfig(min_rows=2), ValidateConfig(max_age_days=9.0))
    ]
    assert paths[0] == paths[1] != paths[2]


def test_a_dirty_run_accounts_for_every_kind_of_dirt(tmp_path):
    kinds = {name: 0.01 for name in synthetic.Dirt.model_fields if name != "unknown_items"}
    config = synthetic.Config(users=300, events_per_user=20, seed=3, dirt=synthetic.Dirt(**kinds))
    rules = ValidateConfig(allowed_events=EVENT_NAMES)
    ingest = IngestConfig(buckets=3, repeats="drop")
    found = landed(config, tmp_path / "home", rules=rules, ingest=ingest, as_of=config.as_of)  # "future" comes one day
    spoilt = synthetic.dirt(config)
    read, accepted, quarantined, deduplicated = account(found)
    harmless = {"null_values", "unknown_items", "duplicates"}  # values may be empty; repeats are dropped instead
    assert quarantined == sum(rows for kind, rows in spoilt.items() if kind not in harmless)
    assert deduplicated == spoilt["duplicates"]
    assert accepted == read - quarantined - deduplicated
    by_reason = dict(read_table(found.quarantine).group_by(REASON).len().iter_rows())
    assert by_reason["events.allowed_events"] == spoilt["unknown_events"]
    assert sum(by_reason.values()) == quarantined


def test_rows_after_the_moment_to_look_at_do_not_make_the_data_bad(tmp_path):
    lines = [line(f"u{day}", day) for day in range(1, 29)]
    (tmp_path / "events-1.csv").write_text(HEAD + "".join(lines) + line("", 1))
    as_of = datetime(2024, 1, 4, tzinfo=UTC)
    found = landed(source(tmp_path), tmp_path / "home", as_of=as_of)
    assert account(found) == (29, 4, 25, 0)
    run = context(tmp_path / "home").model_copy(update={"as_of": as_of})
    report = check("raw", found.everything(), ValidateConfig(), run, "shop", found.accounts)
    told = {result.rule: result for result in report.results}
    assert told["quarantine.events.share_error"].passed
    assert told["quarantine.events.share_error"].observed == "0.2"
    assert not told["quarantine.events.share_warn"].passed


# Increments


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
