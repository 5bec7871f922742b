"""Rows that break a rule of severity quarantine are set aside, and every row is accounted for."""

from datetime import UTC, datetime

import pytest

from schemas.config import IngestConfig, ValidateConfig
from schemas.errors import DataError
from schemas.tables import COLUMN, EVENT, EVENTS, LOCATOR, REASON, RUN_ID, TABLE, TIMESTAMP, USER_ID
from tasks.sources import synthetic
from tasks.sources._synthetic_events import EVENT_NAMES
from tasks.stores.buckets import read_table
from tasks.validation.handover import check
from tests.helpers.landings import HEAD, account, context, landed, line, rows, source


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
