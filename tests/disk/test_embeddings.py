"""The cache of embeddings: rounding, growth, concurrency and kills."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import DataError
from tasks.disk.embeddings import Counts, EmbeddingCache, fill


def vector_of(text: str, dim: int = 4) -> np.ndarray:
    """An oracle: what the fake encoder gives for a text."""
    import hashlib

    return np.frombuffer(hashlib.sha256(text.encode()).digest()[:dim], np.uint8).astype(np.float32) / 7


class Counting:
    """Encodes by `vector_of`, ten texts at a time, and remembers what it was asked."""

    def __init__(self, pause: float = 0.0) -> None:
        self.asked: list[str] = []
        self.pause = pause

    def encode_batches(self, texts):
        for start in range(0, len(texts), 10):
            time.sleep(self.pause)
            window = texts[start : start + 10]
            self.asked += window
            yield np.arange(start, start + len(window)), np.stack([vector_of(text) for text in window])


def test_get_returns_what_was_put_rounded_to_float16(tmp_path):
    cache = EmbeddingCache(tmp_path, "f", 4)
    vectors = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    texts = [f"text {i}" for i in range(50)]
    cache.put(texts, vectors)
    for held in (cache, EmbeddingCache(tmp_path, "f", 4)):
        got = held.get(texts[::-1])
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, vectors[::-1].astype(np.float16).astype(np.float32))


def test_first_vector_of_a_text_stays(tmp_path):
    cache, other = EmbeddingCache(tmp_path, "f", 2), EmbeddingCache(tmp_path, "f", 2)
    cache.put(["a"], np.ones((1, 2), np.float32))
    other.put(["a", "b", "b"], np.full((3, 2), 2, np.float32))
    np.testing.assert_array_equal(other.get(["a", "b"]), [[1, 1], [2, 2]])
    np.testing.assert_array_equal(cache.get(["b", "a"]), [[2, 2], [1, 1]])
    assert len(cache) == len(EmbeddingCache(tmp_path, "f", 2)) == 2


def test_missing_is_distinct_and_in_order(tmp_path):
    cache = EmbeddingCache(tmp_path, "f", 1)
    cache.put(["b"], np.ones((1, 1), np.float32))
    assert cache.missing(["c", "b", "a", "c"]) == ["c", "a"]


def test_encoders_share_nothing(tmp_path):
    EmbeddingCache(tmp_path, "one", 1).put(["a"], np.ones((1, 1), np.float32))
    assert EmbeddingCache(tmp_path, "two", 1).missing(["a"]) == ["a"]


def test_unknown_texts_are_refused_by_number(tmp_path):
    cache = EmbeddingCache(tmp_path, "f", 1)
    assert cache.get([]).shape == (0, 1)
    with pytest.raises(DataError, match="2 of 2 texts"):
        cache.get(["a", "b"])


@pytest.mark.parametrize("bad", [np.inf, 1e6])
def test_what_float16_cannot_hold_is_refused(tmp_path, bad):
    with pytest.raises(DataError, match="normalise"):
        EmbeddingCache(tmp_path, "f", 1).put(["a"], np.array([[bad]], np.float32))


def test_wrong_width_is_refused(tmp_path):
    cache = EmbeddingCache(tmp_path, "f", 2)
    with pytest.raises(DataError, match=r"expected \(1, 2\)"):
        cache.put(["a"], np.ones((1, 3), np.float32))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.text(max_size=6), max_size=12), max_size=6))
def test_any_sequence_of_fills_equals_the_oracle(tmp_path_factory, rounds):
    cache = EmbeddingCache(tmp_path_factory.mktemp("cache"), "f", 4)
    seen: set[str] = set()
    for texts in rounds:
        encoder = Counting()
        counts = fill(cache, encoder, texts)
        assert counts == Counts(hits=len(set(texts) & seen), misses=len(set(texts) - seen))
        assert set(encoder.asked) == set(texts) - seen
        assert len(encoder.asked) == len(set(encoder.asked))
        seen |= set(texts)
        if texts:
            expected = np.stack([vector_of(text) for text in texts]).astype(np.float16)
            np.testing.assert_array_equal(cache.get(texts), expected.astype(np.float32))


def test_second_run_encodes_nothing_and_one_percent_new_exactly_those(tmp_path):
    texts = [f"text {i}" for i in range(1000)]
    fill(EmbeddingCache(tmp_path, "f", 4), Counting(), texts)
    again, fresh = Counting(), Counting()
    assert fill(EmbeddingCache(tmp_path, "f", 4), again, texts) == Counts(1000, 0)
    new = [f"new {i}" for i in range(10)]
    assert fill(EmbeddingCache(tmp_path, "f", 4), fresh, [*texts, *new]) == Counts(1000, 10)
    assert again.asked == []
    assert fresh.asked == new


def test_large_puts_are_cut_into_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.disk.embeddings._SHARD_BYTES", 1000)
    cache = EmbeddingCache(tmp_path, "f", 4)
    texts = [f"text {i}" for i in range(500)]
    vectors = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    cache.put(texts, vectors)
    assert len(list(cache.folder.glob("*.shard"))) > 10
    few = [3, 499, 77]
    np.testing.assert_array_equal(cache.get([texts[i] for i in few]), vectors[few].astype(np.float16))
    np.testing.assert_array_equal(EmbeddingCache(tmp_path, "f", 4).get(texts), vectors.astype(np.float16))


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:20], lambda b: b[:40] + b"?" + b[41:], lambda b: b""]
)
def test_a_damaged_shard_is_named_and_set_aside(tmp_path, damage, caplog):
    cache = EmbeddingCache(tmp_path, "f", 4)
    cache.put(["a", "b"], np.ones((2, 4), np.float32))
    (shard,) = cache.folder.glob("*.shard")
    shard.write_bytes(damage(shard.read_bytes()))
    assert EmbeddingCache(tmp_path, "f", 4).missing(["a", "b"]) == ["a", "b"]
    assert f"{shard}: is damaged" in caplog.text
    assert [path.name.startswith(f"{shard.name}.damaged-") for path in cache.folder.glob("0*")] == [True]


def _fill(folder, texts, pause):
    fill(EmbeddingCache(folder, "f", 4), Counting(pause), texts)


def test_concurrent_runs_leave_each_text_once(tmp_path):
    texts = [[f"text {i}" for i in range(start, start + 300)] for start in (0, 100, 200)]
    context = multiprocessing.get_context("spawn")  # a fork would inherit locks that other tests' threads held
    runs = [context.Process(target=_fill, args=(tmp_path, some, 0.001)) for some in texts]
    for run in runs:
        run.start()
    for run in runs:
        run.join(30)
        assert run.exitcode == 0
    cache = EmbeddingCache(tmp_path, "f", 4)
    every = [f"text {i}" for i in range(500)]
    assert len(cache) == 500
    np.testing.assert_array_equal(cache.get(every), np.stack([vector_of(t) for t in every]).astype(np.float16))


def test_a_killed_run_is_taken_up_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.disk.embeddings._FLUSH_ROWS", 20)
    texts = [f"text {i}" for i in range(2000)]
    run = multiprocessing.get_context("fork").Process(target=_fill, args=(tmp_path, texts, 0.005))
    run.start()
    deadline = time.monotonic() + 20
    while len(EmbeddingCache(tmp_path, "f", 4)) < 100 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    cache = EmbeddingCache(tmp_path, "f", 4)
    (cache.folder / "00000099-dead.tmp").write_bytes(b"torn")
    kept, rest = len(cache), Counting()
    assert 100 <= kept < 2000
    assert fill(cache, rest, texts) == Counts(kept, 2000 - kept)
    assert len(rest.asked) == 2000 - kept
    assert not list(cache.folder.glob("*.tmp"))
    np.testing.assert_array_equal(cache.get(texts), np.stack([vector_of(t) for t in texts]).astype(np.float16))
