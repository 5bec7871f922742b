"""What is refused before a byte of a model is loaded, and in which words."""

import json
import shutil

import pytest

from schemas.errors import DataError, UsageError
from tasks.encoders import causal, transformer
from tasks.encoders._safety import weights_hash


def load(folder, **fields):
    return transformer.load(transformer.Config(model=str(folder), **fields), "cpu")


@pytest.fixture
def model(bert, tmp_path):
    return shutil.copytree(bert, tmp_path / "model")


def edit(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_pinned_hash_is_checked(model):
    right = weights_hash(model)
    assert load(model, sha256=right).weights_sha256 == right
    with pytest.raises(DataError, match="the config pins"):
        load(model, sha256="0" * 64)
    with pytest.raises(ValueError, match="sha256"):
        transformer.Config(sha256="abc")


def test_one_changed_byte_is_another_hash(model):
    right = weights_hash(model)
    file = model / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match="refused"):
        load(model, sha256=right)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def test_a_folder_with_pickled_weights_only_is_refused_unopened(model):
    import pickle

    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match=r"only pytorch_model.bin, which can run code"):
        load(model)


def test_a_pickle_beside_safetensors_is_left_unopened(model):
    import pickle

    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    assert load(model).dim == 16


def test_own_code_is_refused(model):
    edit(model, auto_map={"AutoModel": "modeling.Evil"})
    (model / "modeling.py").write_text("raise SystemExit('ran')")
    with pytest.raises(DataError, match="code of its own"):
        load(model)


def test_own_code_of_the_tokenizer_is_refused(model):
    file = model / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "auto_map": {"AutoTokenizer": ["tok.Evil", None]}}))
    (model / "tok.py").write_text("raise SystemExit('ran')")
    with pytest.raises(DataError, match="code of its own"):
        load(model)


@pytest.mark.parametrize("changes", [{"model_type": "evil"}, {"architectures": ["EvilModel"]}, {"model_type": None}])
def test_foreign_architectures_are_refused(model, changes):
    edit(model, **changes)
    with pytest.raises(DataError, match="transformers ships"):
        load(model)


def test_a_missing_tokenizer_is_refused(model):
    (model / "tokenizer.json").unlink()
    with pytest.raises(DataError, match="no tokenizer"):
        load(model)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\xff" * 200])
def test_broken_weights_are_refused(model, content):
    (model / "model.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="cannot be loaded"):
        load(model)


def test_missing_weights_are_refused_not_drawn_at_random(model):
    from safetensors.torch import load_file, save_file

    file = model / "model.safetensors"
    tensors = load_file(file)
    tensors.pop("encoder.layer.1.output.dense.weight")
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(DataError, match=r"1 weights missing.*layer.1.output.dense.weight"):
        load(model)


def test_a_missing_pooler_is_no_matter(model):
    from safetensors.torch import load_file, save_file

    before = load(model).encode(["red toy"])
    file = model / "model.safetensors"
    save_file({k: v for k, v in load_file(file).items() if not k.startswith("pooler")}, file, {"format": "pt"})
    assert (load(model).encode(["red toy"]) == before).all()


@pytest.mark.parametrize("name", ["/nowhere/model", "."])
def test_a_folder_without_a_model_is_refused(name):
    with pytest.raises(DataError, match=r"config.json"):
        load(name)


def test_a_hub_name_needs_a_revision_and_offline_asks_nobody(monkeypatch):
    import socket

    def refuse(*_args, **_kwargs):
        pytest.fail("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(UsageError, match="needs its `revision`"):
        load("nobody/nothing")
    with pytest.raises(DataError, match="not on this machine and offline is set"):
        load("nobody/nothing", revision="0" * 40)
    with pytest.raises(UsageError, match="names no model"):
        causal.load(causal.Config(), "cpu")
