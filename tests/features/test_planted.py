"""Each family alone finds the segments planted in its own signal, and stays ignorant of the others'."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from tasks.features import behaviour, interest
from tasks.sources import synthetic
from tests.strategies import synthetic_bucket

FAMILIES = {"behaviour": behaviour, "interest": interest}


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_finds_its_own_segments_only(kind: str, language: str) -> None:
    planted = synthetic.Config(users=500, language=language, seed=3)
    family, bucket = FAMILIES[kind], synthetic_bucket(planted)
    config = family.Config()
    state = family.finish(family.partial(bucket, config, planted.as_of), np.random.default_rng(0))
    frame = family.transform(bucket, state, config, planted.as_of)
    truth = synthetic.truth(planted)
    assert frame["user_id"].to_list() == truth["user_id"].tolist()
    x = frame.drop("user_id").to_numpy().astype(float)
    spread = np.nanstd(x, axis=0)
    x = np.nan_to_num((x - np.nanmean(x, axis=0)) / np.where(spread > 0, spread, 1.0))
    labels = KMeans(planted.segments, n_init=5, random_state=0).fit_predict(x)
    agreement = {signal: adjusted_rand_score(truth[signal], labels) for signal in synthetic.SIGNALS}
    assert agreement.pop(kind) >= 0.9
    assert max(map(abs, agreement.values())) < 0.05, agreement
