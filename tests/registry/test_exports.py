"""What is told and written of published users: found under any form of their id, and in CSV nothing that runs."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import __main__ as command_line
from schemas.tables import ASSIGNMENTS, SEGMENTS, TRANSITIONS
from tasks.disk.files import guarded
from tasks.registry.version import renamed
from tasks.stores import pointer
from tasks.stores.buckets import read_table
from tasks.stores.tables import export, publish
from tests.helpers.days import a_day
from tests.helpers.landed_tables import written

NOW = datetime(2025, 1, 1, tzinfo=UTC)
USERS = ["Zo\u00eb", "=1+1", "+49", "-5", "@SUM(A1)", "\tx", "\rx", "'quoted", "ann", "＝1"]


@pytest.fixture
def fenqun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """The command line over a state folder with these users published."""
    home = str(tmp_path / "home")
    common = {"model_version": "1", "as_of": NOW}
    same = {"confidence": 0.5, "distance": -1.5, "reasons": ["=cmd()", "b"], **common}
    placed = [("s001", "assigned"), (None, "unassigned")]
    users = [
        {"user_id": user, "segment_id": placed[n % 2][0], "status": placed[n % 2][1], **same}
        for n, user in enumerate(USERS, 1)
    ]
    names = [{"segment_id": "s001", "name": "=tea", "size": 5, "share": 0.5, "evidence": [], "top_categories": [],
              "top_items": [], **common}]  # fmt: skip
    tables = {
        table.name: publish(home, "demo", table.name, pl.DataFrame(rows, schema=table.polars_schema()))
        for table, rows in ((ASSIGNMENTS, users), (SEGMENTS, names), (TRANSITIONS, []))
    }
    live = pointer.Live(model_version="1", bundle="b", sha256="0" * 64, run_id="r", tables=tables, users=len(USERS),
                        as_of=NOW, promoted_at=NOW)  # fmt: skip
    with pointer.changing(home, "demo", 0) as current:
        pointer.replace(home, "demo", current, live, None, ["s001"])
    monkeypatch.setenv("FENQUN_HOME", home)
    monkeypatch.setattr(command_line, "environment", lambda debug: None)

    def call(*words: str) -> tuple[int, str, str]:
        return command_line.main([*words, "--segmentation", "demo"]), *capsys.readouterr()

    return call


def test_a_user_is_found_under_any_form_of_the_id(fenqun):
    for form in ("Zo\u00eb", "Zoe\u0308"):
        code, told, _ = fenqun("user", form)
        assert (code, told.startswith("Zo\u00eb: unassigned")) == (0, True)


@pytest.mark.parametrize(
    ("user", "words"),
    [("x" * 1025, "longer than the 1024 bytes"), (" ", "empty where"), ("a\0", "NUL"), ("\udc80", "not valid UTF-8")],
)
def test_an_id_that_nobody_can_have_is_told(fenqun, user, words):
    code, out, errors = fenqun("user", user)
    assert (code, out, errors.count("\n")) == (1, "", 1)
    assert words in errors
    assert len(errors) < 200


def test_a_pointer_that_is_a_folder_is_told_in_words(fenqun, tmp_path):
    place = pointer.pointer_path(str(tmp_path / "home"), "demo")
    place.unlink()
    place.mkdir()
    for words in (("user", "ann"), ("segments", "export", "--output", str(tmp_path / "x.csv"))):
        code, out, errors = fenqun(*words)
        assert (code, out, errors.count("\n")) == (1, "", 1)
        assert f"{place}: cannot be read (Is a directory); run `fenqun doctor --repair`" in errors


def test_an_export_runs_nothing_in_a_spreadsheet_and_its_ids_read_back(fenqun, tmp_path):
    code, *_ = fenqun("segments", "export", "--output", str(tmp_path / "all.csv"))
    raw = pl.read_csv(tmp_path / "all.csv", infer_schema=False, truncate_ragged_lines=False)
    assert code == 0
    texts = raw.select(pl.exclude("distance"))
    assert not any(cell.startswith(tuple("=+-@\t\r＝")) for row in texts.rows() for cell in row if cell)
    assert raw["user_id"].str.replace("^'", "").to_list() == USERS
    assert raw["distance"].to_list() == ["-1.5"] * len(USERS)
    assert set(raw["name"]) == {None, "'=tea"}
    assert raw["reasons"][0] == "'=cmd(); b"


def test_parquet_is_exact_and_names_the_segments(fenqun, tmp_path):
    fenqun("segments", "export", "--output", str(tmp_path / "all.parquet"))
    frame = pl.read_parquet(tmp_path / "all.parquet")
    assert frame["user_id"].to_list() == USERS
    assert frame.columns[:3] == ["user_id", "segment_id", "name"]
    assert frame.filter(pl.col("segment_id") == "s001")["name"].unique().to_list() == ["=tea"]


@given(st.lists(st.text()))
def test_a_text_less_one_leading_quote_is_what_it_was(texts):
    frame = guarded(pl.DataFrame({"user_id": pl.Series(texts, dtype=pl.String)}))
    assert [guard.removeprefix("'") for guard in frame["user_id"]] == texts
    assert not any(guard[:1] in set("=+-@\t\r\n") - {""} for guard in frame["user_id"])


def test_memberships_are_flat_in_csv_and_as_they_are_in_parquet(tmp_path):
    soft = [{"segment_id": "=s1", "weight": 2 / 3}, {"segment_id": "s2", "weight": 1 / 3}]
    frame = pl.DataFrame(
        {"user_id": ["a", "b"], "memberships": [soft, None], "reasons": [["x", "y"], []]},
        schema_overrides={"memberships": ASSIGNMENTS.polars_schema()["memberships"]},
    )
    export(frame, tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text().splitlines()[1:] == ["a,'=s1 0.6667; s2 0.3333,x; y", 'b,,""']
    export(frame, tmp_path / "all.parquet")
    assert pl.read_parquet(tmp_path / "all.parquet").equals(frame)


def test_segments_get_their_own_ids_in_memberships_too(tmp_path):
    soft = [{"segment_id": "c0", "weight": 0.75}, {"segment_id": "c1", "weight": 0.25}]
    rows = [{"user_id": "a", "segment_id": "c0", "second_segment_id": "c1", "memberships": soft},
            {"user_id": "b", "segment_id": None, "second_segment_id": "c0", "memberships": None}]  # fmt: skip
    refs = written(tmp_path, [{"assignments": pl.DataFrame(rows, schema=ASSIGNMENTS.polars_schema())}])
    day = a_day(tmp_path / "home", refs, NOW)
    told = read_table(renamed(day, refs["assignments"], {"c0": "s007", "c1": "s002"}, "3")).sort("user_id")
    assert told["segment_id"].to_list() == ["s007", None]
    assert told["memberships"].to_list() == [
        [{"segment_id": "s007", "weight": 0.75}, {"segment_id": "s002", "weight": 0.25}], None,
    ]  # fmt: skip
