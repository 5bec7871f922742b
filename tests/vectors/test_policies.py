"""Policies of input columns reach the Segmenter: what a config says of users.age fills and clips what is made of it."""

import numpy as np
import polars as pl
import pytest

from schemas.config import MissingPolicy, OutlierPolicy, RepresentConfig
from schemas.execution import ExecutionConfig
from schemas.tables import EVENTS, USER_ID, USERS, VALUE
from tasks.disk.artifacts import load_state
from tasks.plugins.find import plugin
from tasks.vectors.features import fit_family, fit_representation
from tests.helpers.landed_tables import a_run, buckets, written

HERE = ExecutionConfig(workers=2)


@pytest.fixture
def made(tmp_path):
    """Attributes and behaviour of users, some of whom have no age and some no value; and the run."""
    parts, at = [], 0
    for part in buckets():
        people = part[USERS.name].select(USER_ID)
        ages = [None if n % 4 == 0 else 20.0 + n for n in range(at, at + len(people))]
        at += len(people)
        parts.append({**part, USERS.name: people.with_columns(pl.Series("age", ages, dtype=pl.Float64))})
    run, refs = a_run(tmp_path), written(tmp_path, parts)
    families = {kind: plugin("features", kind).Config() for kind in ("attributes", "behaviour")}
    return {kind: fit_family(refs, config, run, HERE) for kind, config in families.items()}, run


def scaling(made, missing, outliers):
    """Column -> fill, lower and upper bound, as fitted."""
    state = load_state(fit_representation(made[0], None, RepresentConfig(), (missing, outliers), made[1], HERE).state)
    names = [name for _, columns in state.meta["blocks"] for name in columns]
    return {n: tuple(state.arrays[a][j] for a in ("fill", "lower", "upper")) for j, n in enumerate(names)}


def test_a_constant_is_given_in_the_unit_of_the_input(made):
    encoding = load_state(made[0]["attributes"].state).meta["encodings"][0]
    assert (encoding["source"], encoding["logged"]) == ("age", False)
    policy = MissingPolicy(fill="constant", constant=50.0)
    filled = scaling(made, {f"{USERS.name}.age": policy, f"{EVENTS.name}.{VALUE}": policy}, {})
    expected = (50.0 - encoding["center"]) / encoding["scale"]
    assert filled["attributes_age"][0] == pytest.approx(expected)
    assert filled["value_sum"][0] == 50.0
    assert filled["recency_days"][0] != 50.0


def test_extremes_of_an_input_are_clipped_in_what_is_made_of_it(made):
    policy = OutlierPolicy(action="clip", quantile=0.1)
    clipped = scaling(made, {}, {f"{USERS.name}.age": policy, f"{EVENTS.name}.{VALUE}": policy})
    assert all(np.isfinite(clipped[name][1:]).all() for name in ("attributes_age", "value_sum", "value_mean"))
    assert not np.isfinite(clipped["recency_days"][1:]).any()


def test_a_policy_of_the_output_is_more_telling(made):
    near, far = (MissingPolicy(fill="constant", constant=value) for value in (1.0, 9.0))
    filled = scaling(made, {f"{EVENTS.name}.{VALUE}": far, "behaviour.value_sum": near}, {})
    assert (filled["value_sum"][0], filled["value_mean"][0]) == (1.0, 9.0)


def test_what_a_family_says_its_columns_count_scales_them(tmp_path, monkeypatch):
    run, refs, social = a_run(tmp_path), written(tmp_path, buckets()), plugin("features", "social")
    families = {"social": fit_family(refs, social.Config(), run, HERE)}
    gains = []
    for counted in (None, {}):
        if counted is not None:
            monkeypatch.setattr("tasks.vectors.features.counted_by", lambda features: {})
        state = load_state(fit_representation(families, None, RepresentConfig(), ({}, {}), run, HERE).state)
        gains.append(state.arrays["gain"])
    weights = load_state(families["social"].state).meta["weights"]
    assert 0 < min(weights.values()) < 0.5 < max(weights.values())
    np.testing.assert_allclose(gains[0], gains[1] * np.array(list(weights.values())))
