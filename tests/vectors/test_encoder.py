"""An encoder that was loaded once is known: it is loaded again only for texts that have no vector yet."""

import shutil

import numpy as np
import pytest

from schemas.errors import DataError
from tasks.encoders import transformer
from tasks.vectors.encoder import known
from tests.helpers.language_models import tiny_bert


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_bert(tmp_path / "made"), folder)
    return folder


@pytest.fixture
def loads(monkeypatch):
    seen, load = [], transformer.load
    monkeypatch.setattr(transformer, "load", lambda *arguments: seen.append(1) or load(*arguments))
    return seen


def vectors(encoder, texts):
    out = np.zeros((len(texts), encoder.facts["dimension"]), np.float32)
    for at, some in encoder.encode_batches(texts):
        out[at] = some
    return out


def test_a_known_encoder_is_loaded_when_a_vector_is_asked_for(model, home, loads):
    config = transformer.Config(model=str(model))
    first = known(config, "cpu", str(home))
    again = known(config, "cpu", str(home))
    assert again.facts == first.facts
    assert len(loads) == 1
    np.testing.assert_array_equal(
        vectors(again, ["hello", "a longer text"]), vectors(first, ["hello", "a longer text"])
    )
    assert len(loads) == 2


@pytest.mark.parametrize("change", ["weights", "pooling", "config"])
def test_whatever_decides_vectors_makes_it_unknown(model, home, loads, change):
    known(transformer.Config(model=str(model)), "cpu", str(home))
    fields = {}
    if change == "weights":
        data = bytearray((model / "model.safetensors").read_bytes())
        data[-3] ^= 1
        (model / "model.safetensors").write_bytes(data)
    elif change == "pooling":
        (model / "modules.json").write_text("[]")
    else:
        fields["prefix"] = "query: "
    known(transformer.Config(model=str(model), **fields), "cpu", str(home))
    assert len(loads) == 2


def test_a_memory_that_is_damaged_is_made_again(model, home, loads):
    config = transformer.Config(model=str(model))
    facts = known(config, "cpu", str(home)).facts
    (memory,) = (home / "embeddings" / "known").iterdir()
    memory.write_text("{")
    assert known(config, "cpu", str(home)).facts == facts
    assert len(loads) == 2


def test_a_model_that_changes_between_stamp_and_load_is_refused(model, home):
    config = transformer.Config(model=str(model))
    known(config, "cpu", str(home))
    remembered = known(config, "cpu", str(home))
    remembered.facts["fingerprint"] = "0" * 64
    with pytest.raises(DataError, match="changed while it was read"):
        remembered.encode_batches(["hello"])
