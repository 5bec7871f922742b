"""Damage is seen, told by name and made good, whatever the size of the file says."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from schemas.artifacts import State
from schemas.errors import DataError
from tasks.disk import files
from tasks.disk.artifacts import MANIFEST, find, load_state, produce, save_state
from tasks.disk.embeddings import EmbeddingCache
from tasks.disk.files import recalled, sealed, unsealed
from tests.helpers.damage import flip

DIGEST = "d" * 64


def made(home: Path):
    def write(place: Path):
        save_state(place, State({"x": np.arange(50.0)}, {"a": "片"}))
        return {"rows": 50, "meta": {"k": 3}}

    return produce(str(home), "t", DIGEST, write)


def test_a_flipped_byte_anywhere_in_an_artifact_is_told_set_aside_and_made_again(tmp_path, caplog):
    ref, rng = made(tmp_path), np.random.default_rng(0)
    place = Path(ref.path)
    names = sorted(path.name for path in place.iterdir())
    assert names == [MANIFEST, "state.json", "state.safetensors"]
    for round_ in range(60):
        name = names[round_ % 3]
        caplog.clear()
        flip(place / name, int(rng.integers(2**31)))
        with caplog.at_level(logging.WARNING):
            assert made(tmp_path) == ref
        assert f"{place}: is damaged" in caplog.text
        assert name in caplog.text
        np.testing.assert_array_equal(load_state(ref).arrays["x"], np.arange(50.0))
    assert len(list(place.parent.glob(f"{place.name}.damaged-*"))) == 60


def test_a_manifest_of_an_earlier_version_is_read_and_held_against_sizes(tmp_path):
    ref = made(tmp_path)
    place = Path(ref.path)
    now = unsealed((place / MANIFEST).read_bytes())
    earlier = {"ref": {**now["ref"], "path": "/somewhere/else"}, "files": now["files"]}
    (place / MANIFEST).write_text(json.dumps(earlier))
    assert find(str(tmp_path), "t", DIGEST) == ref
    (place / "state.json").write_text("short")
    assert find(str(tmp_path), "t", DIGEST) is None
    assert made(tmp_path) == ref
    assert unsealed((place / MANIFEST).read_bytes()) == now


def test_an_unchanged_file_is_read_once_in_a_process(tmp_path, monkeypatch):
    made(tmp_path)
    monkeypatch.setattr(files.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert find(str(tmp_path), "t", DIGEST) is not None


def test_a_sealed_text_is_what_was_sealed_or_refused(tmp_path):
    path, content = tmp_path / "memory.json", {"a": [1, 2.5, None], "片": {"7": True}}
    path.write_text(sealed(content), encoding="utf-8")
    assert recalled(path) == content == unsealed(json.dumps(content))
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        if recalled(path) is not None:  # white space and the writing of a letter mean nothing
            assert recalled(path) == content
    path.write_bytes(b"")
    assert recalled(path) is None
    assert recalled(path) is None
    assert list(tmp_path.glob("memory.json.damaged-*"))


@pytest.mark.parametrize("opened", ["before", "after"])
@pytest.mark.parametrize("at", range(0, 56, 5))
def test_a_flipped_byte_in_a_shard_costs_its_texts_and_nothing_else(tmp_path, at, opened, caplog):
    texts, vectors = ["a", "b"], np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
    cache = EmbeddingCache(tmp_path, "f", 4)
    for text, vector in zip(texts, vectors, strict=True):
        cache.put([text], vector[None])
    shard = min(cache.folder.glob("*.shard"))
    assert shard.stat().st_size == 56
    flip(shard, at)
    with caplog.at_level(logging.WARNING):
        cache = cache if opened == "before" else EmbeddingCache(tmp_path, "f", 4)
        lost = cache.missing(texts)
    np.testing.assert_array_equal(cache.get([one for one in texts if one not in lost]), vectors[len(lost) :])
    assert lost == ["a"] or (opened == "before" and at < 48), "only what was read before may still be of use"
    if lost:
        assert f"{shard}: is damaged" in caplog.text
        assert not shard.exists()
        cache.put(lost, vectors[:1])
        np.testing.assert_array_equal(EmbeddingCache(tmp_path, "f", 4).get(texts), vectors)


def test_vectors_that_are_damaged_after_they_were_found_are_never_given(tmp_path):
    cache = EmbeddingCache(tmp_path, "f", 4)
    cache.put(["a"], np.ones((1, 4), np.float32))
    assert cache.missing(["a"]) == []
    flip(next(cache.folder.glob("*.shard")), 50)
    with pytest.raises(DataError, match="run embed first"):
        cache.get(["a"])


def test_a_shard_of_an_earlier_version_is_read(tmp_path):
    cache = EmbeddingCache(tmp_path, "f", 4)
    cache.put(["a"], np.ones((1, 4), np.float32))
    (shard,) = cache.folder.glob("*.shard")
    content = shard.read_bytes()
    shard.write_bytes(content[:6] + b"1" + content[7:28] + b"\0" * 4 + content[32:])
    np.testing.assert_array_equal(EmbeddingCache(tmp_path, "f", 4).get(["a"]), np.ones((1, 4)))
