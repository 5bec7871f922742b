"""The runner: broken rules are told apart from bad data, values never leave, buckets add up."""

import json
from datetime import timedelta

import polars as pl
import pytest
from great_expectations import ExpectationSuite
from great_expectations import expectations as gxe

import expectations
from schemas import tables as t
from schemas.config import ValidateConfig
from schemas.errors import DataError
from schemas.facts import Facts
from schemas.reports import Accounting
from tasks.validation.aggregates import merge_all, partial
from tasks.validation.aside import set_aside
from tasks.validation.run import Stage, run, validate
from tests.helpers.good_tables import AS_OF, good, with_cell

CONFIG = ValidateConfig()


def outcome(report):
    return {r.rule: r for r in report.results}


def test_a_broken_rule_is_an_error_of_its_own():
    def broken(config, facts):
        meta = {"rule": "events.nonsense", "severity": "warn"}
        return ExpectationSuite(name="e", expectations=[gxe.ExpectColumnMaxToBeBetween(column="no such", meta=meta)])

    report, _ = validate({"events": [good()["events"]]}, {"events": broken}, CONFIG, AS_OF)
    result = outcome(report)["events.nonsense"]
    assert (result.severity, result.passed, result.checked, result.failed) == ("error", False, 0, 0)
    assert "the rule itself is broken" in result.observed
    assert not report.passed


def test_a_rule_that_chokes_on_values_does_not_quote_them():
    frame = pl.DataFrame({"a": ["secret-1", "secret-2"]}).to_pandas()
    meta = {"rule": "x.a", "severity": "error"}
    suite = ExpectationSuite(
        name="s",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(column="a", max_value=1, meta=meta),
            gxe.ExpectColumnValuesToMatchRegex(column="a", regex="^none$", meta={**meta, "rule": "x.b"}),
        ],
    )
    broken, bad = run(suite, frame, "raw", "x")
    assert "broken" in broken.observed
    assert (bad.failed, bad.checked, bad.observed) == (2, 2, "2 of 2 rows")
    assert "secret" not in broken.model_dump_json() + bad.model_dump_json()


def test_offending_values_stay_out_of_reports_facts_and_docs(tmp_path):
    frame = with_cell(with_cell(good()["events"], "event", "SECRET-EVENT"), "value", 9.87654321e300)
    config = ValidateConfig(allowed_events=("view", "buy"))
    report, _ = validate({"events": [frame]}, expectations.suites(), config, AS_OF, None, tmp_path / "docs")
    assert not outcome(report)["events.allowed_events"].passed
    assert "the first at source row 1" in outcome(report)["events.allowed_events"].observed
    written = report.model_dump_json() + "".join(p.read_text() for p in (tmp_path / "docs").rglob("*.html"))
    assert "SECRET" not in written
    assert "87654321" not in written


def test_the_data_docs_show_every_table_and_rule(tmp_path):
    frames = good()
    tables = {name: [frames[name]] for name in ("events", "items")}
    report, _ = validate(tables, expectations.suites(), CONFIG, AS_OF, None, tmp_path)
    assert report.docs == str(tmp_path / "index.html")
    index = (tmp_path / "index.html").read_text()
    assert "raw.events" in index
    assert "raw.items" in index
    page = next((tmp_path / "validations" / "raw" / "events").rglob("*.html")).read_text()
    assert "known_items" in page


@pytest.mark.parametrize("table", ["events", "user_vectors", "assignments", "user_features"])
def test_buckets_add_up_to_the_whole(table):
    frame, contract = good()[table], {"user_features": t.USER_FEATURES, "user_vectors": t.USER_VECTORS}.get(table)
    contract = contract or {**t.INPUTS, **t.PUBLISHED}[table]
    whole = partial(frame, contract, CONFIG, AS_OF)
    parts = merge_all([partial(frame[i : i + 3], contract, CONFIG, AS_OF) for i in range(0, frame.height, 3)])
    assert (parts.rows, parts.counts, parts.columns) == (whole.rows, whole.counts, whole.columns)
    assert {k: dict(sorted(v.items())) for k, v in parts.shares.items()} == {
        k: dict(sorted(v.items())) for k, v in whole.shares.items()
    }
    for name, moments in whole.moments.items():
        assert parts.moments[name].n == moments.n
        assert parts.moments[name].mean == pytest.approx(moments.mean, rel=1e-12)
        assert parts.moments[name].std == pytest.approx(frame[name].std(ddof=0), rel=1e-9)


def test_moments_leave_out_what_would_overflow():
    frame = with_cell(with_cell(good()["events"], "value", 1e308), "value", float("inf"), row=1)
    facts = partial(frame, t.EVENTS, CONFIG, AS_OF)
    assert facts.moments["value"].n == frame.height - 2
    assert facts.moments["value"].std < 10
    assert facts.counts["value.nonfinite"] == 1
    assert facts.counts["value.overflow"] == 1


def test_facts_survive_json_and_feed_the_next_run():
    tables = {"events": [good()["events"]]}
    _, kept = validate(tables, expectations.suites(), CONFIG, AS_OF)
    again = json.loads(json.dumps(kept))
    report, _ = validate(tables, expectations.suites(), CONFIG, AS_OF, again)
    assert outcome(report)["events.row_change"].passed
    assert outcome(report)["events.mean_shift"].observed == "0"
    assert Facts.model_validate(again["events"]).rows == 20


def test_dtypes_are_ours_to_assert():
    frame = good()["events"].with_columns(
        pl.col("value").cast(pl.Float32), pl.col("timestamp").dt.replace_time_zone(None)
    )
    report, _ = validate({"events": [frame.drop("sequence")]}, {}, CONFIG, AS_OF)
    results = outcome(report)
    assert results["events.columns"].observed == "sequence: missing"
    assert results["events.dtypes"].observed == (
        "timestamp (Datetime(time_unit='us', time_zone=None)), value (Float32): of another dtype"
    )
    assert len(report.errors) == 2


def test_a_category_is_as_good_as_a_string():
    frame = good()["events"].with_columns(pl.col("event").cast(pl.Categorical))
    report, _ = validate({"events": [frame]}, expectations.suites(), ValidateConfig(allowed_events=("view",)), AS_OF)
    assert outcome(report)["events.dtypes"].passed
    assert outcome(report)["events.allowed_events"].failed == 10


def test_a_missing_column_is_told_once_and_not_as_a_broken_rule():
    report, _ = validate({"events": [good()["events"].drop("item_id")]}, expectations.suites(), CONFIG, AS_OF)
    assert [r.rule for r in report.errors] == ["events.columns"]


def test_strange_tables_and_columns_are_named():
    with pytest.raises(DataError, match="evnts"):
        validate({"evnts": []}, {}, CONFIG, AS_OF)
    report, _ = validate({"events": [good()["events"].with_columns(extra=1)]}, {}, CONFIG, AS_OF)
    assert outcome(report)["events.no_strange_columns"].observed == "extra: not in the contract"


def test_rows_of_quarantine_rules_go_aside_with_their_locator():
    frame = with_cell(good()["events"], "timestamp", AS_OF + timedelta(days=1), row=4)
    frame = with_cell(frame, "event", "glance", row=4)
    frame = with_cell(frame, "event", "glance", row=7)
    config = ValidateConfig(allowed_events=("view", "buy"))
    suite = expectations.suites()["events"](config, None)
    kept, aside = set_aside(frame, t.EVENTS, suite, config, AS_OF, "r1")
    assert kept.height + aside.height == frame.height
    assert aside.rows() == [
        ("events", "row 5", "timestamp", "events.timestamp.future", "r1"),
        ("events", "row 8", "event", "events.allowed_events", "r1"),
    ]
    assert kept["sequence"].to_list() == [i for i in range(1, 21) if i not in (5, 8)]
    assert kept.columns == frame.columns


def test_an_error_rule_becomes_a_quarantine_rule_by_config():
    frame = with_cell(good()["events"], "value", float("nan"))
    loose = ValidateConfig(severity={"events.value.nonfinite": "quarantine"})
    for config, left in ((CONFIG, 20), (loose, 19)):
        suite = expectations.suites()["events"](config, None)
        assert set_aside(frame, t.EVENTS, suite, config, AS_OF, "r")[0].height == left


@pytest.mark.parametrize(
    ("change", "near"),
    [
        (pl.lit("00") + pl.col(t.USER_ID), "leading zeros"),
        (pl.col(t.USER_ID).str.to_uppercase(), "capital letters"),
        (pl.lit(" ") + pl.col(t.USER_ID), "spaces"),
        (pl.lit("x") + pl.col(t.USER_ID), None),
    ],
)
def test_users_that_nobody_knows_are_told_with_what_they_differ_in(change, near):
    tables = good()
    strange = tables["events"].with_columns(change.alias(t.USER_ID))
    report, _ = validate({"events": [strange], "users": [tables["users"]]}, expectations.suites(), CONFIG, AS_OF)
    result = outcome(report)["events.known_users"]
    assert (result.passed, result.severity) == (False, "error")
    assert result.observed == (f"0 ({len(strange)} of {len(strange)} rows differ in {near})" if near else "0")
    alone, _ = validate({"events": [strange]}, expectations.suites(), CONFIG, AS_OF)
    assert "events.known_users" not in outcome(alone)


def test_the_share_set_aside_says_why_and_where():
    reasons = ["empty where a value is required"] * 3 + ["not a number"]
    columns = {
        t.TABLE: ["events"] * 4, t.LOCATOR: [f"e.csv:{n}" for n in (4, 6, 9, 2)], t.COLUMN: ["user_id"] * 3 + ["value"],
        t.REASON: reasons, t.RUN_ID: ["r"] * 4,
    }  # fmt: skip
    accounts = (Accounting(table="events", read=10, accepted=6, quarantined=4, deduplicated=0),)
    given = {"quarantine": [pl.DataFrame(columns)]}
    report, _ = validate(given, expectations.suites(), CONFIG, AS_OF, stage=Stage("raw", accounts))
    words = "0.4 (most because user_id is empty where a value is required (the first: e.csv:4))"
    assert outcome(report)["quarantine.events.share_error"].observed == words
