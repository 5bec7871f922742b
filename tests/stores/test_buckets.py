"""Work over buckets on threads: order, crashes, damage, and what is shared between artifacts."""

import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.execution import ExecutionConfig
from schemas.tables import EVENTS, ITEMS, USER_ID
from tasks.disk.artifacts import find
from tasks.stores.buckets import (
    Keep,
    bucket_facts,
    contents,
    count,
    map_buckets,
    parallel,
    read_bucket,
    read_table,
    reduce_buckets,
)
from tests.helpers.landed_tables import BUCKETS, buckets, files, frames, written
from tests.helpers.random_tables import AS_OF

HERE = ExecutionConfig(workers=2)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tables(tmp_path):
    return written(tmp_path / "tables", buckets())


def sizes(bucket):
    """Events per user of a bucket."""
    return bucket[EVENTS.name].group_by(USER_ID).len("n").sort(USER_ID)


def test_a_bucket_has_its_rows_of_every_table_and_all_items(tables):
    parts = buckets()
    for number in (0, 4, 9):
        found = read_bucket(tables, number)
        assert {name: frame.equals(parts[number][name]) for name, frame in found.items()} == dict.fromkeys(found, True)
    assert count(tables) == BUCKETS
    assert read_table(tables[EVENTS.name]).equals(pl.concat([part[EVENTS.name] for part in parts]))
    assert tables[ITEMS.name].buckets == 1


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 10])
def test_partials_are_merged_pairwise_in_bucket_order(n, tmp_path):
    refs = {EVENTS.name: written(tmp_path, buckets(n=n))[EVENTS.name]}
    firsts = [frame[USER_ID][0] for frame in frames(refs[EVENTS.name])]

    def tree(names):
        level = list(names)
        while len(level) > 1:
            level = [
                f"({'+'.join(level[i : i + 2])})" if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)
            ]
        return level[0]

    for keep in (None, Keep(str(tmp_path / "home"), "partial-x", [str(k) * 24 for k in range(n)], {})):
        merged = reduce_buckets(refs, lambda b: b[EVENTS.name][USER_ID][0], lambda a, b: f"({a}+{b})", HERE, keep)
        assert merged == tree(firsts)


def test_results_keep_the_order_of_their_items_and_progress_counts_each():
    heard, threads = [], set()

    def told(done, of):
        heard.append((done, of))
        threads.add(threading.current_thread())

    assert parallel(lambda x: x * x, range(7), HERE, told) == [x * x for x in range(7)]
    assert heard == [(k, 7) for k in range(1, 8)]
    assert threads == {threading.current_thread()}
    assert parallel(str, [], HERE) == []


def test_progress_of_one_does_not_hear_of_another():
    heard = {"a": [], "b": []}

    def work(name):
        parallel(lambda x: x, range(40), HERE, lambda done, of: heard[name].append(done))

    workers = [threading.Thread(target=work, args=(name,)) for name in heard]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert heard == {"a": list(range(1, 41)), "b": list(range(1, 41))}


def test_a_crash_in_the_middle_costs_only_what_was_not_done(tables, tmp_path):
    calls, alone = Counter(), ExecutionConfig(workers=1)
    args = {"home": str(tmp_path / "home"), "kind": "sizes", "digest": "d" * 64}

    def dying(bucket):
        calls["all"] += 1
        if calls["all"] == 5:
            raise MemoryError("no more")
        return sizes(bucket)

    with pytest.raises(MemoryError):
        map_buckets(tables, dying, alone, **args)
    assert find(args["home"], args["kind"], args["digest"]) is None
    done = map_buckets(tables, dying, alone, **args)
    assert calls["all"] == BUCKETS + 1
    assert [frame.equals(sizes(part)) for frame, part in zip(frames(done), buckets(), strict=True)] == [True] * BUCKETS
    assert done.rows == sum(map(len, frames(done)))
    assert done.columns == (USER_ID, "n")
    assert map_buckets(tables, dying, alone, **args) == done
    assert calls["all"] == BUCKETS + 1


def test_a_crash_while_counting_keeps_what_was_counted(tables, tmp_path):
    calls, alone = Counter(), ExecutionConfig(workers=1)
    keep = Keep(str(tmp_path / "home"), "partial-x", [str(k) * 24 for k in range(BUCKETS)], {})

    def rows(bucket):
        calls["all"] += 1
        if calls["all"] == 5:
            raise MemoryError("no more")
        return len(bucket[EVENTS.name])

    with pytest.raises(MemoryError):
        reduce_buckets(tables, rows, int.__add__, alone, keep)
    assert reduce_buckets(tables, rows, int.__add__, alone, keep) == tables[EVENTS.name].rows
    assert calls["all"] == BUCKETS + 1


@pytest.mark.parametrize("cut", [0, 7, None])
def test_damaged_files_are_made_again(cut, tables, tmp_path):
    args = {"home": str(tmp_path / "home"), "kind": "sizes", "digest": "d" * 64}
    calls = Counter()

    def counted(bucket):
        calls["all"] += 1
        return sizes(bucket)

    done = map_buckets(tables, counted, HERE, **args)
    before, path = files(done), Path(done.path) / "bucket-0006.parquet"
    path.unlink() if cut is None else path.write_bytes(path.read_bytes()[:cut])
    assert find(**{"home": args["home"], "kind": args["kind"], "digest": args["digest"]}) is None
    assert files(map_buckets(tables, counted, HERE, **args)) == before
    assert calls["all"] == BUCKETS + (cut is not None)  # what was only unlinked is still kept under its key


def test_buckets_under_the_same_key_are_shared_between_artifacts(tables, tmp_path):
    made = []

    def named(bucket):
        made.append(bucket[EVENTS.name][USER_ID][0])
        return sizes(bucket)

    home, keys = str(tmp_path / "home"), [str(k) * 24 for k in range(BUCKETS)]
    first = map_buckets(tables, named, HERE, home=home, kind="sizes", digest=keys)
    other = [*keys[:4], "x" * 24, *keys[5:]]
    second = map_buckets(tables, named, HERE, home=home, kind="sizes", digest=other)
    assert len(made) == BUCKETS + 1
    assert made[-1] == frames(tables[EVENTS.name])[4][USER_ID][0]
    assert second.fingerprint != first.fingerprint
    assert files(second) == files(first)


def test_contents_follow_the_rows_not_the_place_and_only_touched_buckets_differ(tmp_path):
    parts = buckets()
    one, two = contents(written(tmp_path / "a", parts)), contents(written(tmp_path / "b", parts))
    assert one == two
    assert len(set(one)) == BUCKETS
    parts[7] = {**parts[7], EVENTS.name: parts[7][EVENTS.name][1:]}
    assert [
        k for k, (a, b) in enumerate(zip(one, contents(written(tmp_path / "c", parts)), strict=True)) if a != b
    ] == [7]


def test_a_new_item_touches_every_bucket(tmp_path):
    parts = buckets()
    before = contents(written(tmp_path / "a", parts))
    grown = [{**part, ITEMS.name: part[ITEMS.name][:-1]} for part in parts]
    assert not set(before) & set(contents(written(tmp_path / "b", grown)))


def test_facts_of_the_maker_are_believed_and_are_those_of_the_files(tables):
    told = {name: ref.model_copy(update={"meta": bucket_facts(ref.path, ref.buckets)}) for name, ref in tables.items()}
    assert contents(told) == contents(tables)
    lie = {**told, EVENTS.name: told[EVENTS.name].model_copy(update={"meta": {"digests": ["x"] * BUCKETS}})}
    assert contents(lie) != contents(tables)


def test_a_moment_matters_only_to_buckets_that_have_something_later(tables, tmp_path):
    whole = contents(tables)
    assert contents(tables, AS_OF + timedelta(days=1)) == whole
    newest = {number: frame["timestamp"].max() for number, frame in enumerate(frames(tables[EVENTS.name]))}
    early = AS_OF - timedelta(days=3)
    changed = {k for k, (a, b) in enumerate(zip(whole, contents(tables, early), strict=True)) if a != b}
    assert changed >= {number for number, at in newest.items() if at > early}


@pytest.mark.slow
def test_kill_9_in_the_middle_loses_only_the_bucket_in_hand(tables, tmp_path):
    code = """
    import os, signal, sys
    from schemas.execution import ExecutionConfig
    from tests.stores.test_buckets import sizes
    from tests.helpers.landed_tables import written, buckets
    from pathlib import Path
    from tasks.stores.buckets import map_buckets
    home, place, die = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    calls = []
    def work(bucket):
        calls.append(1)
        if len(calls) == die:
            os.kill(os.getpid(), signal.SIGKILL)
        return sizes(bucket)
    refs = written(place, buckets())
    ref = map_buckets(refs, work, ExecutionConfig(workers=1), home=home, kind="sizes", digest="d" * 64)
    print(len(calls), ref.path)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "home"), str(tmp_path / "t")]
    killed = subprocess.run([*command, "7"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    rerun = subprocess.run([*command, "0"], cwd=ROOT, capture_output=True, text=True, check=True)
    calls, path = rerun.stdout.split()
    assert int(calls) == BUCKETS - 6
    fresh = map_buckets(tables, sizes, HERE, home=str(tmp_path / "fresh"), kind="sizes", digest="d" * 64)
    assert {p.name: p.read_bytes() for p in Path(path).glob("*.parquet")} == files(fresh)


def test_two_runs_at_once_make_one_artifact(tables, tmp_path):
    args = {"home": str(tmp_path / "home"), "kind": "sizes", "digest": "d" * 64}
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(map_buckets(tables, sizes, HERE, **args))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == found[2]
    assert not list(Path(found[0].path).rglob(".*"))
