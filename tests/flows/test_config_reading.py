"""Configs that say one thing twice, or name what there is not: told with file, line and the nearest that there is."""

from pathlib import Path

import pytest

from expectations import rule_names
from flows import __main__ as command_line
from flows.config import load

PLAIN = """segmentation: shop
source: {kind: tables, events: {path: e.csv}}
features: [{kind: behaviour}]
search: {candidates: [{algorithm: {kind: kmeans}, grid: {k: [3]}}]}
"""


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """`fenqun check` of a config's text, with overrides."""
    monkeypatch.setenv("FENQUN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command_line, "environment", lambda debug: None)

    def call(text: str, *overrides: str) -> tuple[int, str]:
        (tmp_path / "shop.yaml").write_text(text)
        words = [word for one in overrides for word in ("--set", one)]
        return command_line.main(["check", "--config", "shop.yaml", *words]), capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PLAIN + "seed: 1\nseed: 2\n", "shop.yaml, line 6: seed stands in line 5 already"),
        (PLAIN + "gates: {max_churn: 0.1, max_churn: 0.9}\n", "shop.yaml, line 5: max_churn stands in line 5 already"),
        (PLAIN + "ingest:\n  buckets: 1\n  'buckets': 2\n", "shop.yaml, line 7: buckets stands in line 6 already"),
        (PLAIN + "x: " + "[" * 10_000, "nested too deeply"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_lines(check, text, words):
    code, told = check(text)
    assert (code, words in told, told.count("\n")) == (2, True, 1), told


def test_a_merged_key_may_be_overridden(tmp_path):
    (tmp_path / "c.yaml").write_text(PLAIN + "ingest: &base {buckets: 1}\nseed: 3\n")
    assert load(tmp_path / "c.yaml").ingest.buckets == 1


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("source.events.path=htp://host/e.csv", "there is no kind of address htp://; did you mean http"),
        ("source.events.path=klingon://host/e.csv", "there is no kind of address klingon://"),
        (
            "source.events={sql: SELECT 1, url: 'postgres_ql://db'}",
            "no kind of database 'postgres_ql' here; did you mean ",
        ),
        (
            "validation.severity={events.knwon_items: warn}",
            "no rule 'events.knwon_items'; did you mean events.known_items?",
        ),
        ("validation.severity={evnts.row_change: 'off'}", "did you mean events.row_change?"),
        ("validation.severity={'qqq': 'off'}", "a rule is named as in the report"),
    ],
)
def test_what_there_is_not_is_told_with_the_nearest_that_there_is(check, override, words):
    code, told = check(PLAIN, override)
    assert (code, words in told, told.count("\n")) == (2, True, 1), told


def test_rules_that_runs_report_may_be_named():
    assert {
        "events.columns", "events.dtypes", "events.allowed_events", "events.known_items", "events.row_change",
        "events.mean_shift", "events.timestamp.future", "texts.min_rows", "items.described", "segments.sizes",
        "quarantine.events.share_error", "quarantine.texts.unbalanced", "assignments.segment_id.unlisted",
        "users.unique_key", "user_features.finite", "transitions.to_segment_id.unlisted",
    } <= rule_names()  # fmt: skip
