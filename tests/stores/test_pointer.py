"""What is live: compare-and-set between processes, kills at any point, and tables that change with the model."""

import multiprocessing
import os
import signal
from datetime import UTC, datetime

import polars as pl
import pytest

from schemas.errors import DataError, FenqunError
from schemas.tables import TRANSITIONS
from tasks.stores import pointer, tables

AT = datetime(2026, 1, 1, tzinfo=UTC)


def live(version: str, **rest):
    facts = {"bundle": f"b{version}", "sha256": "0" * 64, "run_id": "r", "users": 1, "as_of": AT, "promoted_at": AT}
    return pointer.Live(model_version=version, **facts, **rest)


def steps(*users: str) -> pl.DataFrame:
    row = {"from_segment_id": None, "to_segment_id": "s001", "model_version": "1", "as_of": AT}
    return pl.DataFrame([{"user_id": user, **row} for user in users], schema=TRANSITIONS.polars_schema())


def promote(home, name, expected, champion):
    with pointer.changing(home, name, expected) as current:
        return pointer.replace(home, name, current, champion, current.live)


def back(home, revision):
    return pointer.rollback(str(home), "x", revision, AT, "ann", "it was worse")


def test_promotions_and_rollbacks_exchange_the_two(tmp_path):
    home = str(tmp_path)
    assert pointer.read(home, "x") == pointer.Pointer()
    promote(home, "x", 0, live("1", tables={"assignments": 3}))
    second = promote(home, "x", 1, live("2", tables={"assignments": 4}))
    assert (second.live.model_version, second.previous.model_version) == ("2", "1")
    moved = back(home, 2)
    assert (moved.live.model_version, moved.live.tables) == ("1", {"assignments": 3})
    assert (moved.live.author, moved.live.reason) == ("ann", "it was worse")
    assert back(home, 3).live.model_version == "2"
    assert pointer.read(home, "x").revision == 4


def test_a_stale_revision_changes_nothing(tmp_path):
    promote(str(tmp_path), "x", 0, live("1"))
    for change in (lambda: promote(str(tmp_path), "x", 0, live("2")), lambda: back(tmp_path, 0)):
        with pytest.raises(pointer.PointerMoved, match="came first"):
            change()
    with pytest.raises(FenqunError, match="no previous"):
        back(tmp_path, 1)
    assert pointer.read(str(tmp_path), "x").live.model_version == "1"


def test_a_damaged_pointer_is_told(tmp_path):
    path = pointer.pointer_path(str(tmp_path), "x")
    path.parent.mkdir(parents=True)
    for content in (b"", b"{", b"\xff", b"[]", b'{"revision": "many"}', b"{}", b'{"revision": 3}'):
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            pointer.read(str(tmp_path), "x")


def _race(home, version, gate, results):
    gate.wait()
    try:
        promote(home, "x", 0, live(version))
        results.put(version)
    except pointer.PointerMoved:
        results.put("")


def test_of_promotions_in_many_processes_one_wins(tmp_path):
    context = multiprocessing.get_context("fork")
    gate, results = context.Event(), context.Queue()
    processes = [context.Process(target=_race, args=(str(tmp_path), str(i), gate, results)) for i in range(6)]
    for process in processes:
        process.start()
    gate.set()
    told = [results.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(30)
    winners = [version for version in told if version]
    assert len(winners) == 1
    found = pointer.read(str(tmp_path), "x")
    assert (found.revision, found.live.model_version) == (1, winners[0])


def _killed(home, after):
    """A promotion that dies by kill −9: within the lock, before or after the pointer is written."""
    with pointer.changing(home, "x", 1) as current:
        tables.publish_onto(home, "x", "transitions", steps("lost"), 0)
        if after:
            pointer.replace(home, "x", current, live("2", tables={"transitions": 1}), current.live)
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_leaves_the_old_or_the_new_whole_and_no_lock(tmp_path, after):
    home = str(tmp_path)
    tables.publish_onto(home, "x", "transitions", steps("a", "b"), None)
    promote(home, "x", 0, live("1", tables={"transitions": 0}))
    process = multiprocessing.get_context("spawn").Process(target=_killed, args=(home, after))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    found = pointer.read(home, "x")
    assert found.live.model_version == ("2" if after else "1")
    seen = tables.published(home, "x", "transitions")["user_id"].to_list()
    assert sorted(seen) == (["a", "b", "lost"] if after else ["a", "b"])
    with pointer.changing(home, "x", found.revision) as current:  # the lock went with the process
        base = found.live.tables["transitions"]
        version = tables.publish_onto(home, "x", "transitions", steps("c"), base)
        pointer.replace(home, "x", current, live("3", tables={"transitions": version}), current.live)
    assert sorted(tables.published(home, "x", "transitions")["user_id"].to_list()) == sorted([*seen, "c"])


def test_history_after_a_rollback_does_not_hold_what_was_taken_back(tmp_path):
    home = str(tmp_path)
    assert tables.publish_onto(home, "x", "transitions", steps("a"), None) == 0
    assert tables.publish_onto(home, "x", "transitions", steps("b"), 0) == 1
    again = tables.publish_onto(home, "x", "transitions", steps("c"), 0)
    assert tables.read(home, "x", "transitions", again)["user_id"].sort().to_list() == ["a", "c"]
    assert tables.read(home, "x", "transitions", 1)["user_id"].sort().to_list() == ["a", "b"]
