"""Users of whom a table has no row: what is not known of them makes no segment."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

from schemas.config import RepresentConfig
from schemas.tables import MISSING
from tasks.representation import fit

ATTRIBUTES = ("age", "kids", "tier=gold", "tier=silver", "town=a", "town=b", "town=c")
SILENT = tuple(f"{name}{MISSING}" for name in ("age", "kids", "tier", "town"))


@pytest.fixture(scope="module")
def people():
    """400 users of five planted tastes, half of them without a row in the table of attributes."""
    rng = np.random.default_rng(0)
    taste, told = rng.integers(5, size=400), rng.random(400) < 0.5
    interest = (np.eye(5)[taste] + 0.1 * rng.standard_normal((400, 5))).astype(np.float32)
    tier, town = np.eye(2)[rng.integers(2, size=400)], np.eye(3)[rng.integers(3, size=400)]
    known = np.concatenate([rng.standard_normal((400, 2)), tier, town], axis=1)
    known[~told] = np.nan
    silent = np.repeat(~told[:, None], len(SILENT), axis=1)
    return taste, told, {"interest": interest, "attributes": np.concatenate([known, silent], axis=1, dtype=np.float32)}


@pytest.fixture(scope="module")
def vectors(people):
    *_, blocks = people
    columns = {"interest": tuple(f"taste{j}" for j in range(5)), "attributes": ATTRIBUTES + SILENT}
    made = fit(lambda: [blocks], columns, RepresentConfig(), np.random.default_rng(0))
    return made.transform(blocks)


def test_five_tastes_are_cut_better_than_tastes_times_who_has_a_row(people, vectors):
    taste, told, _ = people
    five, ten = (KMeans(k, n_init=5, random_state=0).fit_predict(vectors) for k in (5, 10))
    assert adjusted_rand_score(taste, five) > 0.9
    assert silhouette_score(vectors, five) > silhouette_score(vectors, ten)
    assert normalized_mutual_info_score(told, ten) < 0.3  # was 0.46: each of the ten had a row, or had none


def test_users_without_a_row_stand_amid_the_others(people, vectors):
    _, told, _ = people
    gap = vectors[told].mean(axis=0) - vectors[~told].mean(axis=0)
    assert np.square(gap).sum() < 0.2 * vectors.var(axis=0).sum()
