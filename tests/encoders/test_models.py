"""Language models against the plainest reference: one text at a time, straight through transformers."""

import ast
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from schemas.errors import UsageError
from tasks.encoders import causal, transformer
from tests.helpers.language_models import sentences

TEXTS = [*sentences(60, longest=50), "", "电影 很 好看 !", "unknownword another"]


def reference(folder, texts, pooling, normalise=True, limit=64, end=None):
    """One text at a time, float32, no padding."""
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        if len(ids) > limit:
            ids = [*ids[: limit - 1], ids[-1]] if tokenizer.sep_token else ids[:limit]
        ids = [*ids, end] if end is not None else ids
        with torch.no_grad():
            states = model(input_ids=torch.tensor([ids or [3]])).last_hidden_state[0]
        vector = {"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling].double().numpy()
        rows.append(vector / np.linalg.norm(vector) if normalise else vector)
    return np.stack(rows)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("budget", [None, 100, 1])
def test_encoder_equals_one_text_at_a_time(bert, pooling, budget):
    config = transformer.Config(model=str(bert), pooling=pooling, dtype="float32", token_budget=budget)
    vectors = transformer.load(config, "cpu").encode(TEXTS)
    np.testing.assert_allclose(vectors, reference(bert, TEXTS, pooling), atol=3e-6)


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("end", [False, True])
def test_decoder_equals_one_text_at_a_time(gpt2, pooling, end):
    config = causal.Config(model=str(gpt2), pooling=pooling, dtype="float32", end_token=end)
    vectors = causal.load(config, "cpu").encode(TEXTS)
    expected = reference(gpt2, TEXTS, pooling, end=3 if end else None)
    np.testing.assert_allclose(vectors, expected, atol=3e-6)


def test_decoder_pools_the_last_real_token_not_the_padding(gpt2):
    encoder = causal.load(causal.Config(model=str(gpt2), dtype="float32"), "cpu")
    short, long = "red toy", " ".join(["blue"] * 30)
    alone = encoder.encode([short])
    np.testing.assert_allclose(encoder.encode([short, long])[0], alone[0], atol=1e-6)
    assert not np.allclose(encoder.encode(["red toy story"]), alone, atol=1e-2)


def test_bfloat16_stays_close_to_float32(bert):
    exact = transformer.load(transformer.Config(model=str(bert), dtype="float32"), "cpu").encode(TEXTS)
    rounded = transformer.load(transformer.Config(model=str(bert), dtype="bfloat16"), "cpu").encode(TEXTS)
    cosine = (exact.astype(np.float64) * rounded).sum(axis=1)
    assert cosine.min() >= 0.999
    assert not np.array_equal(exact, rounded)


def test_bfloat16_without_bfloat16_products_agrees_with_those_that_have_them(bert, monkeypatch):
    """A bundle names its arithmetic; a processor that cannot multiply so must still make the same vectors."""
    from tasks.encoders import _cpu, _model

    native = _cpu.multiplies(torch.bfloat16)
    config = transformer.Config(model=str(bert), dtype="bfloat16")
    here = transformer.load(config, "cpu")
    first = here.encode(TEXTS)
    _model._built.cache_clear()
    monkeypatch.setattr(_cpu, "multiplies", lambda dtype: False)
    elsewhere = transformer.load(config, "cpu")
    _model._built.cache_clear()
    assert elsewhere.fingerprint == here.fingerprint
    again = elsewhere.encode(TEXTS)
    assert (first.astype(np.float64) * again).sum(axis=1).min() >= 0.999
    assert native or np.array_equal(first, again)


@pytest.mark.parametrize("widest", ["AVX2", "AVX512_CORE", "DEFAULT"])
def test_bfloat16_is_encoded_under_every_instruction_set(bert, widest):
    """In a process of its own: what oneDNN may use is read once, when it starts. Wider than the machine is no harm."""
    script = (
        "import sys; from tasks.encoders import transformer\n"
        "encoder = transformer.load(transformer.Config(model=sys.argv[1], dtype='bfloat16'), 'cpu')\n"
        "print(encoder.encode(['red toy', 'blue house river']).tolist())"
    )
    narrow = {"ONEDNN_MAX_CPU_ISA": widest} | ({"ATEN_CPU_CAPABILITY": "avx2"} if widest == "AVX2" else {})
    done = subprocess.run([sys.executable, "-c", script, str(bert)], env=os.environ | narrow, capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    exact = transformer.load(transformer.Config(model=str(bert), dtype="float32"), "cpu")
    expected = exact.encode(["red toy", "blue house river"]).astype(np.float64)
    assert (expected * np.array(ast.literal_eval(done.stdout))).sum(axis=1).min() >= 0.999


def test_vectors_are_scaled_or_left(bert):
    raw = transformer.load(transformer.Config(model=str(bert), dtype="float32", normalise=False), "cpu").encode(TEXTS)
    np.testing.assert_allclose(raw, reference(bert, TEXTS, "mean", normalise=False), atol=1e-5)
    unit = transformer.load(transformer.Config(model=str(bert), dtype="float32"), "cpu").encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)


def test_matryoshka_keeps_the_first_places_and_scales_again(bert):
    config = transformer.Config(model=str(bert), dtype="float32")
    whole = transformer.load(config, "cpu").encode(TEXTS)
    cut = transformer.load(config.model_copy(update={"dimension": 5}), "cpu")
    expected = whole[:, :5] / np.linalg.norm(whole[:, :5], axis=1, keepdims=True)
    assert cut.dim == 5
    np.testing.assert_allclose(cut.encode(TEXTS), expected, atol=1e-6)
    with pytest.raises(UsageError, match="above the model's 16"):
        transformer.load(config.model_copy(update={"dimension": 17}), "cpu")


def test_prefix_is_read_as_part_of_the_text(bert):
    config = transformer.Config(model=str(bert), dtype="float32")
    prefixed = transformer.load(config.model_copy(update={"prefix": "the "}), "cpu")
    plain = transformer.load(config, "cpu")
    np.testing.assert_allclose(prefixed.encode(["red toy"]), plain.encode(["the red toy"]), atol=1e-6)
    assert prefixed.fingerprint != plain.fingerprint


def test_long_text_is_cut_at_max_tokens(bert):
    encoder = transformer.load(transformer.Config(model=str(bert), dtype="float32", max_tokens=6), "cpu")
    np.testing.assert_allclose(
        encoder.encode(["red blue green toy story film"]), encoder.encode(["red blue green toy"]), atol=1e-6
    )
    with pytest.raises(UsageError, match=r"reads \(64\)"):
        transformer.load(transformer.Config(model=str(bert), max_tokens=65), "cpu")


def test_chunks_are_averaged_by_their_tokens(bert):
    base = {"model": str(bert), "dtype": "float32", "max_tokens": 6, "normalise": False}
    chunked = transformer.load(transformer.Config(**base, long_texts="chunk"), "cpu")
    cut = transformer.load(transformer.Config(**base), "cpu")
    first, second, third = cut.encode(["red blue green toy", "story film music book", "house"])
    expected = (6 * first + 6 * second + 3 * third) / 15
    texts = ["red blue green toy story film music book house", "house", ""]
    vectors = chunked.encode(texts)
    np.testing.assert_allclose(vectors[0], expected, atol=1e-5)
    np.testing.assert_allclose(vectors[1:], cut.encode(texts[1:]), atol=1e-5)


def test_full_width_text_reads_as_half_width_under_nfkc(bert):
    config = transformer.Config(model=str(bert), dtype="float32", text_normalisation="nfkc")
    encoder = transformer.load(config, "cpu")
    np.testing.assert_allclose(encoder.encode(["ｒｅｄ　ｔｏｙ"]), encoder.encode(["red toy"]), atol=1e-6)
    plain = transformer.load(transformer.Config(model=str(bert), dtype="float32"), "cpu")
    assert not np.allclose(plain.encode(["ｒｅｄ　ｔｏｙ"]), plain.encode(["red toy"]), atol=1e-3)


@pytest.mark.parametrize(
    ("modules", "pooling", "expected"),
    [
        (["Transformer", "Pooling"], {"pooling_mode_cls_token": True}, ("cls", False)),
        (["Transformer", "Pooling", "Normalize"], {"pooling_mode_mean_tokens": True}, ("mean", True)),
        (["Transformer", "Pooling"], {"pooling_mode": "lasttoken"}, ("last", False)),
    ],
)
def test_what_the_folder_says_of_itself_is_followed(bert, tmp_path, modules, pooling, expected):
    folder = shutil.copytree(bert, tmp_path / "model")
    listed = [
        {"type": f"sentence_transformers.models.{m}", "path": f"{i}_{m}" if i else ""} for i, m in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 9}))
    encoder = transformer.load(transformer.Config(model=str(folder), dtype="float32"), "cpu")
    vectors = encoder.encode(TEXTS)
    np.testing.assert_allclose(vectors, reference(folder, TEXTS, *expected, limit=9), atol=1e-5)
    assert encoder.spec["max_tokens"] == 9


CHANGES = [
    {"pooling": "cls"}, {"prefix": "query: "}, {"max_tokens": 32}, {"dtype": "bfloat16"}, {"normalise": False},
    {"dimension": 8}, {"long_texts": "chunk"}, {"text_normalisation": "nfkc"},
]  # fmt: skip


def test_every_fact_that_changes_vectors_changes_the_fingerprint(bert, tmp_path):
    base = transformer.Config(model=str(bert), dtype="float32")
    prints = {transformer.load(base.model_copy(update=change), "cpu").fingerprint for change in [{}, *CHANGES]}
    from tests.helpers.language_models import tiny_bert

    prints.add(transformer.load(base.model_copy(update={"model": str(tiny_bert(tmp_path, seed=1))}), "cpu").fingerprint)
    assert len(prints) == len(CHANGES) + 2


def test_speed_settings_do_not_change_the_fingerprint_and_the_resolved_config_keeps_it(bert):
    base = transformer.Config(model=str(bert))
    encoder = transformer.load(base, "cpu")
    assert transformer.load(base.model_copy(update={"token_budget": 64}), "cpu").fingerprint == encoder.fingerprint
    assert encoder.config.dtype != "auto"
    assert encoder.config.sha256 == encoder.weights_sha256
    assert transformer.load(encoder.config, "cpu").fingerprint == encoder.fingerprint


@pytest.mark.parametrize("name", ["cuda:99", "tpu9", "quantum"])
def test_a_device_that_is_not_there_is_refused(bert, name):
    with pytest.raises(UsageError, match="device"):
        transformer.load(transformer.Config(model=str(bert)), name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
def test_the_gpu_agrees_with_the_cpu(bert, compiled):
    exact = transformer.load(transformer.Config(model=str(bert), dtype="float32"), "cpu").encode(TEXTS)
    config = transformer.Config(model=str(bert), dtype="bfloat16", compile=compiled)
    assert (exact * transformer.load(config, "cuda").encode(TEXTS)).sum(axis=1).min() >= 0.999


def test_a_model_is_loaded_once_until_its_folder_or_config_changes(bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "model")
    config = transformer.Config(model=str(folder), dtype="float32")
    first = transformer.load(config, "cpu")
    assert transformer.load(config, "cpu") is first
    pooling = folder / "1_Pooling"
    pooling.mkdir()
    (pooling / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert transformer.load(config, "cpu") is not first
