"""Each family alone finds the segments planted in its own signal, and stays ignorant of the others'."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from schemas.config import TextsConfig
from schemas.tables import USER_ID, VECTOR
from tasks.plugins.find import kinds, plugin
from tasks.sources import synthetic
from tasks.texts import pooling
from tests.helpers.random_tables import synthetic_bucket

# Who is interested in the same categories consumes the same items: both families see the one planted signal.
SIGNAL = {kind: "interest" if kind == "collaborative" else kind for kind in kinds("features")}


@pytest.fixture(scope="module", params=["en", "zh"])
def planted(request):
    """A config, its tables as one bucket, and what was planted."""
    config = synthetic.Config(users=500, language=request.param, seed=3)
    return config, synthetic_bucket(config), synthetic.truth(config)


def agreements(x: np.ndarray, truth: dict[str, np.ndarray], segments: int) -> dict[str, float]:
    """Adjusted Rand index of K-Means on standardised columns with what was planted, per signal."""
    spread = np.nanstd(x, axis=0)
    x = np.nan_to_num((x - np.nanmean(x, axis=0)) / np.where(spread > 0, spread, 1.0))
    labels = KMeans(segments, n_init=5, random_state=0).fit_predict(x)
    return {signal: adjusted_rand_score(truth[signal], labels) for signal in synthetic.SIGNALS}


@pytest.mark.parametrize("kind", kinds("features"))
def test_finds_its_own_segments_only(kind, planted):
    source, bucket, truth = planted
    family = plugin("features", kind)
    config = family.Config()
    state = family.finish(family.partial(bucket, config, source.as_of), np.random.default_rng(0))
    frame = family.transform(bucket, state, config, source.as_of)
    assert frame[USER_ID].to_list() == truth[USER_ID].tolist()
    found = agreements(frame.drop(USER_ID).to_numpy().astype(float), truth, source.segments)
    assert found.pop(SIGNAL[kind]) >= 0.9
    assert max(map(abs, found.values())) < 0.05, found


def test_texts_find_what_users_write_about_only(planted):
    source, bucket, truth = planted
    config = TextsConfig(consumed_weight=0.0)
    encoder = plugin("encoders", "hashing").load(plugin("encoders", "hashing").Config(dimension=256), "cpu")
    state = pooling.finish(pooling.partial(bucket, config, source.as_of), np.random.default_rng(0))
    frame = pooling.transform(bucket, state, config, source.as_of, lambda texts: encoder.encode(list(texts)))
    found = agreements(np.array(frame[VECTOR].to_list()), truth, source.segments)
    assert found.pop("text") >= 0.9
    assert max(map(abs, found.values())) < 0.05, found
