"""Artifacts on disk: stable fingerprints, nothing half made is ever taken for whole, nothing whole is made twice."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import sleep

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.artifacts import ArtifactRef, Fitted, State
from schemas.config import IngestConfig
from schemas.errors import DataError
from tasks.disk.artifacts import MANIFEST, content_of, find, fingerprint, link, load_state, produce, save_state
from tasks.disk.codec import decode, encode


def test_fingerprints_are_the_same_in_another_process_and_order():
    parts = ("x", 1, 0.1, None, {"b": "片", "a": [1, 2]}, datetime(2026, 1, 1, tzinfo=UTC), IngestConfig(buckets=3))
    code = (
        "from datetime import *; from schemas.config import IngestConfig; from tasks.disk.artifacts import *;"
        "print(fingerprint('x', 1, 0.1, None, {'a': [1, 2], 'b': '片'}, datetime(2026, 1, 1, tzinfo=UTC),"
        " IngestConfig(buckets=3)))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert other.stdout.strip() == fingerprint(*parts)


def test_fingerprints_do_not_change_between_versions():
    """Pinned: were this to change, every state folder in the world would be made anew."""
    assert fingerprint("a", 1) == hashlib.sha256(b'["a",1]').hexdigest()


def test_a_reference_counts_by_what_it_holds_not_by_where_it_lies():
    ref = ArtifactRef(kind="t", fingerprint="f" * 64, path="/a")
    assert fingerprint(ref) == fingerprint(ref.model_copy(update={"path": "/b", "meta": {"x": 1}}))
    assert fingerprint(ref) != fingerprint(ref.model_copy(update={"fingerprint": "e" * 64}))
    held, moved = (Fitted(state=one, output=ref) for one in (ref, ref.model_copy(update={"path": "/b"})))
    assert fingerprint(held) == fingerprint(moved)
    assert Fitted.model_validate_json(moved.model_dump_json()) == moved


@pytest.mark.parametrize("value", [{1, 2}, object(), np.zeros(2), b"x", np.float32(1)])
def test_what_has_no_stable_text_is_refused(value):
    with pytest.raises(TypeError, match="no stable fingerprint"):
        fingerprint(value)


@given(st.lists(st.one_of(st.integers(), st.text(), st.booleans(), st.none()), max_size=4), st.integers(0, 4))
def test_any_other_part_gives_another_fingerprint(parts, at):
    assert fingerprint(*parts) == fingerprint(*parts)
    assert fingerprint(*parts) != fingerprint(*parts[:at], "one more", *parts[at:])


def writer(calls, stop_at=None):
    """Writes three files, skipping those that are there; `stop_at`: dies before that one."""

    def write(place):
        for number in range(3):
            if number == stop_at:
                raise OSError("killed")
            if not (place / f"{number}.txt").exists():
                calls[number] += 1
                (place / f"{number}.txt").write_text(f"part {number}")
        return {"rows": 3}

    return write


def test_what_is_complete_is_taken_as_it_is(tmp_path):
    calls = Counter()
    first = produce(str(tmp_path), "t", "d" * 64, writer(calls))
    assert produce(str(tmp_path), "t", "d" * 64, writer(calls)) == first
    assert calls == {0: 1, 1: 1, 2: 1}
    assert first.rows == 3


def test_after_a_crash_only_what_is_missing_is_made(tmp_path):
    calls = Counter()
    with pytest.raises(OSError, match="killed"):
        produce(str(tmp_path), "t", "d" * 64, writer(calls, stop_at=2))
    assert find(str(tmp_path), "t", "d" * 64) is None
    produce(str(tmp_path), "t", "d" * 64, writer(calls))
    assert calls == {0: 1, 1: 1, 2: 1}
    assert find(str(tmp_path), "t", "d" * 64) is not None


def test_of_two_that_need_it_at_once_one_makes_it_and_the_other_waits(tmp_path):
    """Both filled one folder: rows of a part file were lost, or a file shrank under whoever had mapped it (SIGBUS)."""
    calls, inside = Counter(), threading.Semaphore()

    def write(place: Path) -> dict:
        assert inside.acquire(blocking=False), "two at once"
        sleep(0.2)
        inside.release()
        return writer(calls)(place)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: produce(str(tmp_path), "t", "d" * 64, write), range(4)))
    assert made == [made[0]] * 4
    assert calls == {0: 1, 1: 1, 2: 1}
    assert [path.name for path in (tmp_path / "artifacts" / "t").iterdir()] == ["d" * 24]


def test_whoever_waits_for_one_that_failed_makes_it(tmp_path):
    calls, begun = Counter(), threading.Event()

    def failing(place: Path) -> dict:
        begun.set()
        sleep(0.2)
        raise OSError("no space left")

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(produce, str(tmp_path), "t", "d" * 64, failing)
        begun.wait()
        assert produce(str(tmp_path), "t", "d" * 64, writer(calls)).rows == 3
        with pytest.raises(OSError, match="no space"):
            first.result()


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    "harm",
    [
        lambda place: shorten(place / "1.txt"),
        lambda place: (place / "1.txt").unlink(),
        lambda place: shorten(place / MANIFEST),
        lambda place: (place / MANIFEST).write_text("{}"),
        lambda place: (place / MANIFEST).unlink(),
    ],
)
def test_a_damaged_artifact_counts_as_missing(harm, tmp_path):
    ref = produce(str(tmp_path), "t", "d" * 64, writer(Counter()))
    harm(Path(ref.path))
    assert find(str(tmp_path), "t", "d" * 64) is None


def test_a_moved_state_folder_still_works(tmp_path):
    produce(str(tmp_path / "a"), "t", "d" * 64, writer(Counter()))
    (tmp_path / "a").rename(tmp_path / "b")
    found = find(str(tmp_path / "b"), "t", "d" * 64)
    assert found is not None
    assert found.path.startswith(str(tmp_path / "b"))


def test_states_come_back_bit_by_bit_and_equal_states_have_equal_content(tmp_path):
    state = State({"x": np.array([0.1, -0.0, np.nan]), "n": np.arange(3, dtype=np.uint64)[::-1]}, {"a": "片", "b": [1]})
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_state(tmp_path / name, state)
    back = load_state(ArtifactRef(kind="s", fingerprint="f", path=str(tmp_path / "one")))
    assert {name: a.tobytes() for name, a in back.arrays.items()} == {n: a.tobytes() for n, a in state.arrays.items()}
    assert back.meta == state.meta
    assert content_of(tmp_path / "one") == content_of(tmp_path / "two")
    save_state(tmp_path / "two", State(state.arrays, {"a": "片", "b": [2]}))
    assert content_of(tmp_path / "one") != content_of(tmp_path / "two")


def test_a_link_survives_its_source_and_replaces_what_was_there(tmp_path):
    source, path = tmp_path / "a", tmp_path / "b"
    source.write_text("new")
    path.write_text("old")
    for _ in range(2):
        link(source, path)
    source.unlink()
    assert path.read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b"]


@dataclass(frozen=True)
class Kept:
    """Everything that statistics of buckets are made of."""

    numbers: dict[int, float]
    frame: pl.DataFrame
    ids: tuple[pl.Series, ...]
    counts: Counter[str] | None
    config: IngestConfig
    array: np.ndarray


def test_statistics_return_with_their_types_order_and_bits():
    kept = Kept(
        numbers={2: 0.1, 1: float("inf"), 3: -0.0},
        frame=pl.DataFrame({"a": ["x", None], "n": pl.Series([1, 2], dtype=pl.UInt8)}),
        ids=(pl.Series("u", ["片", ""]), pl.Series("e", [], dtype=pl.String)),
        counts=Counter({"b": 2, "a": 1}),
        config=IngestConfig(buckets=5),
        array=np.array([[1, 2]], np.int32),
    )
    state = encode(kept)
    back = decode(State(state.arrays, json.loads(json.dumps(state.meta))), {"Kept": Kept, "IngestConfig": IngestConfig})
    assert list(back.numbers.items()) == list(kept.numbers.items())
    assert back.frame.equals(kept.frame)
    assert back.frame.schema == kept.frame.schema
    assert [s.to_list() for s in back.ids] == [s.to_list() for s in kept.ids]
    assert [(s.name, s.dtype) for s in back.ids] == [(s.name, s.dtype) for s in kept.ids]
    assert (type(back.counts), list(back.counts)) == (Counter, ["b", "a"])
    assert back.config == kept.config
    assert (back.array.dtype, back.array.tolist()) == (np.int32, [[1, 2]])


def test_only_named_classes_are_made_and_only_data_is_kept():
    with pytest.raises(DataError, match="nothing here makes"):
        decode(encode(IngestConfig()), {"Other": IngestConfig})
    for value in (object(), {1}, np.float64(1.0), np.array([object()]), print):
        with pytest.raises(TypeError, match="cannot be kept"):
            encode((value,))
