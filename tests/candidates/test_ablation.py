"""What a block of features is worth is seen: the one that holds the planted interests carries the lift."""

import pytest

from schemas.config import IngestConfig, RepresentConfig
from schemas.execution import ExecutionConfig
from schemas.runs import Candidate, Recipe, Slice, Vectors
from tasks.candidates.ablation import contributions, shares
from tasks.candidates.proof import prove
from tasks.ingestion.land import land
from tasks.plugins.find import plugin
from tasks.vectors.features import fit_family, fit_representation
from tasks.vectors.slices import cut
from tests.helpers.days import a_day
from tests.helpers.landed_tables import a_run

HERE = ExecutionConfig(workers=2)
MEASURED = {"bootstraps": 5, "random_draws": 1, "seeds": 2}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Behaviour and interest on planted users, fitted on the first 80 %, and their proof."""
    home = tmp_path_factory.mktemp("home")
    source = plugin("sources", "synthetic").Config(users=300, segments=4, seed=3)
    landed = land(source, IngestConfig(buckets=2), source.as_of, a_run(home), HERE)
    day = a_day(home, landed.tables, landed.as_of, evaluate=MEASURED)
    run, tables = day.context, cut(landed.tables, 0.8, day.context, HERE)
    configs = {kind: plugin("features", kind).Config() for kind in ("behaviour", "interest")}
    fitted = {kind: fit_family(tables, config, run, HERE) for kind, config in configs.items()}
    represent = RepresentConfig(dimension=8, weights={"interest": 3.0})
    vectors = Vectors(
        recipe=Recipe(features={}, represent=represent.model_dump(mode="json")), features=fitted,
        slice=Slice(share=0.8, as_of=landed.as_of, tables=dict(tables)),
        represented=fit_representation(fitted, None, represent, ({}, {}), run, HERE),
    )  # fmt: skip
    candidate = Candidate(name="kmeans-k4", algorithm={"kind": "kmeans", "k": 4})
    return day, candidate, vectors, prove(day, candidate, vectors, None)


def test_shares_are_those_of_the_weights_and_sum_to_one(made):
    found = shares(made[2])
    assert list(found) == ["behaviour", "interest"]
    assert sum(found.values()) == pytest.approx(1.0)
    assert found["interest"] == pytest.approx(0.75, abs=0.1)


def test_interest_carries_the_lift_and_behaviour_does_not(made):
    day, candidate, vectors, proof = made
    whole = proof.recipe.metric.value
    added = contributions(day, candidate, vectors)
    assert set(added) == {"behaviour", "interest"}
    assert added["interest"] > 0.5 * whole > 0
    assert abs(added["behaviour"]) < 0.1 * whole
    represent = RepresentConfig(dimension=8, weights={"interest": 3.0})
    only = {"interest": vectors.features["interest"]}
    alone = fit_representation(only, None, represent, ({}, {}), day.context, HERE)
    found = prove(day, candidate, vectors.model_copy(update={"represented": alone}), None).recipe.metric.value
    assert added["behaviour"] == whole - found


def test_nothing_is_said_of_a_single_block_or_without_a_lift(made):
    day, candidate, vectors, _ = made
    only = vectors.model_copy(update={"features": {"interest": vectors.features["interest"]}})
    assert contributions(day, candidate, only) == {}


def test_no_lift_is_measured_where_items_are_no_choices(made):
    day, candidate, vectors, _ = made
    off = a_day(day.context.home, day.tables, day.as_of, evaluate={**MEASURED, "lift": False})
    proof = prove(off, candidate, vectors, None)
    assert proof.recipe.metric.value is None
    assert contributions(off, candidate, vectors) == {}
