"""Every rule of every suite can fail, and fails for the fault that was planted; on good tables all pass."""

from datetime import timedelta
from functools import partial

import polars as pl
import pytest

import expectations
from schemas import tables as t
from schemas.config import ValidateConfig
from schemas.facts import Facts
from schemas.reports import Accounting
from tasks.validation.run import Stage, validate
from tasks.validation.scan import TABLES
from tests.helpers.good_tables import AS_OF, TABLES_IN_ORDER, N, good, with_cell

CONFIG = ValidateConfig(allowed_events=("view", "buy"))
ACCOUNTS = (Accounting(table="events", read=100, accepted=99, quarantined=1, deduplicated=0),)
FULL = {"row_change", "mean_shift", "share_shift"}
BESIDE = {
    "events": ["items", "users"], "texts": ["users"],
    "assignments": ["segments"], "segments": ["assignments"], "transitions": ["segments"],
    "recommendations": ["segments", "items"], "user_recommendations": ["items"],
}  # fmt: skip


def cell(column, value, row=0):
    return partial(with_cell, column=column, value=value, row=row)


def column(name, expression):
    return lambda frame: frame.with_columns(expression.alias(name))


def times(factor):
    return lambda frame: pl.concat([frame.with_columns(pl.col(t.SEQUENCE)) for _ in range(factor)])


def strangers(known, user="x"):
    """The table with only its first rows by known users."""
    return column(t.USER_ID, pl.when(pl.int_range(pl.len()) < known).then(t.USER_ID).otherwise(pl.lit(user)))


FAULTS = {
    "events.timestamp.future": cell("timestamp", AS_OF + timedelta(seconds=1)),
    "events.timestamp.old": cell("timestamp", AS_OF - timedelta(days=366 * 41)),
    "events.min_rows": lambda frame: frame.clear(),
    "events.known_items": column("item_id", pl.lit("i99")),
    "events.known_users": column("user_id", pl.lit("0") + pl.col("user_id")),
    "events.known_users_warn": strangers(4),
    "texts.known_users": column("user_id", pl.lit("0") + pl.col("user_id")),
    "texts.known_users_warn": strangers(4),
    "events.user_id.nobody": strangers(0, "Unknown"),
    "texts.user_id.nobody": strangers(0, "-1"),
    "events.allowed_events": cell("event", "glance"),
    "events.row_change": times(4),
    "events.mean_shift": column("value", pl.col("value") + 100),
    "events.share_shift": column("event", pl.lit("buy")),
    "users.attributes_finite": cell("age", float("inf")),
    "users.attributes_empty": column("age", pl.lit(None, pl.Float64)),
    "items.attributes_finite": cell("price", float("nan")),
    "items.described": lambda f: f.with_columns(
        title=pl.lit(None, pl.String), categories=pl.lit([], pl.List(pl.String))
    ),
    "texts.timestamp.future": cell("timestamp", AS_OF + timedelta(seconds=1)),
    "texts.timestamp.old": cell("timestamp", AS_OF - timedelta(days=366 * 41)),
    "texts.text.blank": cell("text", " \t "),
    "texts.min_rows": lambda frame: frame.clear(),
    "texts.share_shift": column("kind", pl.lit("review")),
    "edges.timestamp.future": cell("timestamp", AS_OF + timedelta(seconds=1)),
    "edges.timestamp.old": cell("timestamp", AS_OF - timedelta(days=366 * 41)),
    "edges.src.empty": cell("src", ""),
    "edges.dst.empty": cell("dst", ""),
    "edges.weight.nonpositive": cell("weight", 0.0),
    "edges.dst.loops": column("dst", pl.col("src")),
    "edges.mean_shift": column("weight", pl.col("weight") * 100),
    "user_features.min_rows": lambda frame: frame.clear(),
    "user_features.finite": cell("share", float("-inf")),
    "user_features.empty_columns": column("share", pl.lit(None, pl.Float64)),
    "user_features.constant_columns": column("share", pl.lit(0.25)),
    "user_embeddings.min_rows": lambda frame: frame.clear(),
    "user_embeddings.one_length": cell("vector", [1.0]),
    "user_embeddings.vector.nonfinite": cell("vector", [1.0, float("nan")]),
    "user_embeddings.vector.huge": cell("vector", [1e9, 0.0]),
    "user_embeddings.vector.zero_with_text": cell("vector", [0.0, 0.0]),
    "user_embeddings.has_text": column("has_text", pl.lit(False)),
    "user_vectors.min_rows": lambda frame: frame.clear(),
    "user_vectors.one_length": cell("vector", [1.0, 1.0, 1.0]),
    "user_vectors.vector.nonfinite": cell("vector", [float("inf"), 0.0]),
    "user_vectors.vector.huge": cell("vector", [1e9, 0.0]),
    "user_vectors.vector.zero": cell("vector", [0.0, 0.0]),
    "assignments.min_rows": lambda frame: frame.clear(),
    "assignments.confidence.outside_unit": cell("confidence", 1.5),
    "assignments.distance.negative": cell("distance", -0.1),
    "assignments.status.unknown": cell("status", "perhaps"),
    "assignments.segment_id.contradicts_status": cell("segment_id", None),
    "assignments.second_segment_id.same_as_first": cell("second_segment_id", "S1"),
    "assignments.segment_id.unlisted": cell("segment_id", "S7"),
    "assignments.share_shift": column("segment_id", pl.lit("S1")),
    "assignments.mean_shift": column("distance", pl.col("distance") + 100),
    "segments.min_rows": lambda frame: frame.clear(),
    "segments.no_empty_segment": cell("size", 0),
    "segments.share.outside_unit": cell("share", -0.1),
    "segments.shares": cell("share", 0.9),
    "segments.distinct_names": cell("name", "second"),
    "segments.name.empty": cell("name", ""),
    "segments.sizes": cell("size", 3),
    "transitions.from_segment_id.silent": cell("from_segment_id", "S1"),
    "transitions.to_segment_id.unlisted": cell("to_segment_id", "S7"),
    "recommendations.rank.nonpositive": cell("rank", 0),
    "recommendations.rank.beyond_list": cell("rank", 3, row=1),
    "recommendations.item_id.repeated": cell("item_id", "i1"),
    "recommendations.score.rises": cell("score", 0.95, row=1),
    "recommendations.segment_id.unlisted": cell("segment_id", "S7"),
    "recommendations.item_id.unlisted": cell("item_id", "i99"),
    **{f"{table}.min_rows": lambda frame: frame.clear() for table in ("recommendations", "user_recommendations")},
    "user_recommendations.rank.nonpositive": cell("rank", 0),
    "user_recommendations.rank.beyond_list": cell("rank", 3, row=1),
    "user_recommendations.item_id.repeated": cell("item_id", "i1"),
    "user_recommendations.score.rises": cell("score", 0.95, row=1),
    "user_recommendations.item_id.unlisted": cell("item_id", "i99"),
}
QUARANTINE_FAULTS = {
    "quarantine.events.share_error": Accounting(table="events", read=10, accepted=5, quarantined=5, deduplicated=0),
    "quarantine.events.share_warn": Accounting(table="events", read=100, accepted=97, quarantined=3, deduplicated=0),
    "quarantine.events.unbalanced": Accounting(table="events", read=100, accepted=98, quarantined=1, deduplicated=0),
}


def only(rule, table):
    """The table's suite with one of its rules alone: running all for each fault would take a minute."""

    def factory(config, facts):
        suite = expectations.suites()[table](config, facts)
        suite.expectations = [one for one in suite.expectations if one.meta["rule"] == rule]
        return suite

    return factory


def check(table, change=lambda frame: frame, accounts=ACCOUNTS, config=CONFIG, previous=None, rule=None):
    frames = good()
    tables = {name: [frames[name]] for name in [table, *BESIDE.get(table, [])]}
    tables[table] = [change(frames[table])]
    suites = {table: only(rule, table) if rule else expectations.suites()[table]}
    return validate(tables, suites, config, AS_OF, previous, None, Stage("raw", accounts))


def remembered(table):
    """Facts of the good table, as the previous run left them."""
    return check(table)[1]


def generic(rule, table):
    """The fault of a rule that follows from the contract alone; None where it needs a fault of its own."""
    name, _, condition = rule.removeprefix(f"{table}.").rpartition(".")
    if rule.endswith(".unique_key"):
        return lambda frame: pl.concat([frame, frame.head(1)])
    if rule.endswith(".row_change"):
        return lambda frame: pl.concat([frame] * 4)
    if rule.endswith(".distinct"):
        return lambda frame: pl.concat([frame] * 2)
    if rule.endswith(".copied"):
        owner = t.BUCKETED[table]
        return lambda frame: pl.concat([frame.with_columns(pl.lit(f"u{n}").alias(owner)) for n in range(2)])
    if rule.endswith(".mean_shift"):
        return lambda f: f.with_columns(pl.selectors.float() + 1e4)
    values = {"nulls": None, "empty": "", "nonfinite": float("nan"), "overflow": 1e39}
    return cell(name, values[condition]) if condition in values else None


def rules_of(table):
    """All rules of a suite where everything it can ask about is at hand."""
    suite = expectations.suites()[table](CONFIG, full_facts(table))
    return [one.meta["rule"] for one in suite.expectations]


def full_facts(table):
    previous = remembered(table)[table]
    _, kept = check(table, previous={table: previous})
    facts = Facts.model_validate(kept[table])
    return facts.model_copy(update={"previous": Facts.model_validate(previous)})


def test_every_table_has_a_suite():
    assert set(expectations.suites()) == set(TABLES) == set(TABLES_IN_ORDER)


@pytest.mark.parametrize("table", TABLES_IN_ORDER)
def test_a_good_table_passes_every_rule(table):
    report, _ = check(table, previous=remembered(table))
    assert [r for r in report.results if not r.passed] == []
    assert any(r.table == table for r in report.results)


@pytest.mark.parametrize("table", TABLES_IN_ORDER)
def test_every_rule_can_fail(table):
    previous = remembered(table)
    for rule in rules_of(table):
        if rule in QUARANTINE_FAULTS:
            report, _ = check(table, accounts=(QUARANTINE_FAULTS[rule],), previous=previous, rule=rule)
        else:
            fault = FAULTS.get(rule) or generic(rule, table)
            assert fault is not None, f"{rule} has no fault that proves it can fail"
            report, _ = check(table, fault, previous=previous, rule=rule)
        failed = {r.rule: r for r in report.results if not r.passed}
        assert rule in failed, f"{rule} let its fault pass"
        assert all("broken" not in r.observed for r in failed.values()), rule
        assert failed[rule].failed > 0


@pytest.mark.parametrize("table", TABLES_IN_ORDER)
def test_suites_stand_without_facts(table):
    suite = expectations.suites()[table](ValidateConfig(), None)
    assert suite.expectations
    assert {one.meta["severity"] for one in suite.expectations} <= {"error", "quarantine", "warn"}


def test_the_config_overrides_a_severity():
    config = CONFIG.model_copy(update={"severity": {"events.min_rows": "warn", "events.columns": "off"}})
    report, _ = check("events", lambda frame: frame.clear(), config=config)
    outcome = {r.rule: r for r in report.results}
    assert outcome["events.min_rows"].severity == "warn"
    assert not outcome["events.min_rows"].passed
    assert "events.columns" not in outcome
    assert not any(r.rule == "events.min_rows" for r in report.errors)


def test_a_rule_switched_off_is_not_run():
    config = CONFIG.model_copy(update={"severity": {"events.min_rows": "off"}})
    report, _ = check("events", lambda frame: frame.clear(), config=config)
    assert "events.min_rows" not in {r.rule for r in report.results}


def test_texts_must_not_be_empty_where_there_are_no_events():
    suites = {"texts": expectations.suites()["texts"]}
    frames = good()
    alone, _ = validate({"texts": []}, suites, CONFIG, AS_OF)
    beside, _ = validate({"texts": [], "events": [frames["events"]]}, suites, CONFIG, AS_OF)
    assert [r.rule for r in alone.errors] == ["texts.min_rows"]
    assert beside.errors == ()


def test_a_larger_previous_run_bounds_the_rows():
    previous = remembered("events")
    report, _ = check("events", lambda frame: frame.head(N // 2 - 1), previous=previous)
    (row_change,) = [r for r in report.results if r.rule == "events.row_change"]
    assert (row_change.passed, row_change.observed, row_change.bound) == (
        False,
        "9 (rows, 20 in the last accepted run)",
        "between 12 and 60",
    )


@pytest.mark.parametrize("rule", ["user_features.empty_columns", "user_features.constant_columns", "events.mean_shift"])
def test_a_figure_of_the_whole_table_names_the_column_it_speaks_of(rule):
    table = rule.split(".")[0]
    report, _ = check(table, FAULTS[rule], previous=remembered(table), rule=rule)
    (found,) = [result for result in report.results if result.rule == rule]
    assert not found.passed
    assert found.observed.endswith("(value)" if table == "events" else "(share)")


def test_a_few_rows_of_nobody_are_no_fault_and_many_are_a_warning():
    outcome = {}
    for most in (0.1, 0.2):
        config = CONFIG.model_copy(update={"max_nobody_share": most})
        report, _ = check("events", strangers(N - N // 5, "anonymous"), config=config)
        outcome[most] = next(r for r in report.results if r.rule == "events.user_id.nobody")
    assert (outcome[0.1].passed, outcome[0.2].passed) == (False, True)
    assert outcome[0.1].severity == "warn"
    assert outcome[0.1].observed.startswith(f"{N // 5} of {N} rows, the first at source row")
