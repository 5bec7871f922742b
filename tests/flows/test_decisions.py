"""What the command line tells about what is live: users, members, rollbacks, and mistakes in one line."""

from pathlib import Path

import polars as pl
import pytest

from flows import __main__ as command_line
from tasks.stores import pointer
from tests.helpers import versions
from tests.helpers.versions import make_live, seen

NAME, AS_OF = versions.NAME, versions.AS_OF
CONFIGS = Path(__file__).parents[2] / "deployments" / "configs"


@pytest.fixture
def fenqun(shop, monkeypatch, capsys):
    """The command line on this state folder, without what it sets in the environment."""
    monkeypatch.setenv("FENQUN_HOME", str(shop[0]))
    monkeypatch.setattr(command_line, "environment", lambda debug: None)

    def call(*words: str) -> tuple[int, str, str]:
        try:
            code = command_line.main([*words])
        except SystemExit as usage:
            code = int(usage.code)
        return code, *capsys.readouterr()

    return call


def test_a_user_and_the_members_of_a_segment_are_told(shop, fenqun, tmp_path):
    make_live(shop, 0)
    code, told, _ = fenqun("user", "用户003", "--segmentation", NAME)
    row = next(row for row in seen(shop[0])["assignments"] if row["user_id"] == "用户003")
    assert code == 0
    assert told.startswith(f"用户003: {row['segment_id']} ")
    assert f"since {AS_OF:%Y-%m-%d}" in told
    assert all(f"because {reason}" in told for reason in row["reasons"])
    for suffix, read in ((".csv", pl.read_csv), (".parquet", pl.read_parquet)):
        file = tmp_path / f"members{suffix}"
        place = ("--segmentation", NAME, "--segment", row["segment_id"], "--output", str(file))
        assert fenqun("segments", "export", *place)[0] == 0
        members = {row_["user_id"] for row_ in seen(shop[0])["assignments"] if row_["segment_id"] == row["segment_id"]}
        assert set(read(file)["user_id"]) == members


def test_a_history_of_one_moment_is_told_as_a_chain(shop, fenqun):
    """Two versions promoted on the same data: both steps bear one as_of."""
    make_live(shop, 0)
    before = {row["user_id"]: row["segment_id"] for row in seen(shop[0])["assignments"]}
    make_live(shop, 1)
    after = {row["user_id"]: row["segment_id"] for row in seen(shop[0])["assignments"]}
    user = next(user for user in before if before[user] and after[user])
    _, told, _ = fenqun("user", user, "--segmentation", NAME)
    steps = [line.split("  ")[2] for line in told.splitlines() if " -> " in line]
    assert steps == [f"- -> {before[user]}", f"{before[user]} -> {after[user]}"]
    assert told.startswith(f"{user}: {after[user]} ")


def test_a_rollback_at_the_command_line_says_what_is_live(shop, fenqun):
    make_live(shop, 0)
    make_live(shop, 1)
    code, told, _ = fenqun("rollback", "--segmentation", NAME, "--author", "ann", "--reason", "it was worse")
    assert (code, told) == (0, f"{NAME}: version 1 is live, version 2 is previous\n")
    assert pointer.read(str(shop[0]), NAME).live.author == "ann"


MISTAKES = {
    "nobody": (("user", "nobody", "--segmentation", NAME), 1, "no user 'nobody'"),
    "no such segmentation": (("user", "x", "--segmentation", "domo"), 2, f"there is {NAME}"),
    "a path for a name": (("user", "x", "--segmentation", "../demo"), 2, "no name of a segmentation"),
    "no such segment": (
        ("segments", "export", "--segmentation", NAME, "--segment", "s9", "--output", "x.csv"), 2, "it has s001, s002"
    ),
    "another ending": (
        ("segments", "export", "--segmentation", NAME, "--output", "x.xlsx"), 2, "ends in .csv or .parquet"
    ),
    "a place that is a file": (
        ("segments", "export", "--segmentation", NAME, "--output", "/dev/null/x.csv"), 2, "cannot be written"
    ),
    "nothing to go back to": (
        ("rollback", "--segmentation", NAME, "--author", "a", "--reason", "b"), 1, "no previous champion"
    ),
    "nobody who decides": (
        ("rollback", "--segmentation", NAME, "--author", "", "--reason", "b"), 2, "give the name of who decides"
    ),
    "no such version": (("promote", "--segmentation", NAME, "--version", "9"), 2, "has no version 9"),
    "a version that is no number": (("promote", "--segmentation", NAME, "--version", "v1"), 2, "has no version v1"),
    "an override without a reason": (
        ("promote", "--segmentation", NAME, "--version", "1", "--author", "ann"), 2, "override: give the name"
    ),
    "assigning by no model": (
        ("assign", "--config", str(CONFIGS / "movielens.yaml")), 2, f"movielens: nothing is live; there is {NAME}"
    ),
    "a rollback elsewhere": (
        ("rollback", "--segmentation", "domo", "--author", "a", "--reason", "b"), 2, f"there is {NAME}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_in_one_line_and_changes_nothing(shop, fenqun, tmp_path, monkeypatch, case):
    words, expected, told = MISTAKES[case]
    make_live(shop, 0)
    before = sorted(path for path in (shop[0] / "segmentations").rglob("*"))
    monkeypatch.chdir(tmp_path)
    code, out, errors = fenqun(*words)
    assert (code, out) == (expected, "")
    assert errors.startswith("fenqun: ")
    assert told in errors
    assert errors.count("\n") == 1
    assert sorted(path for path in (shop[0] / "segmentations").rglob("*")) == before
    assert not list(tmp_path.iterdir())
