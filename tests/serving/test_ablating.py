"""What a block of features is worth is seen: the one that holds the planted interests carries the lift."""

import pytest

from schemas.config import EvaluateConfig, ExecutionConfig, IngestConfig, RepresentConfig
from schemas.runs import Candidate, Proof, Recipe, Vectors
from tasks.serving.ablating import contributions, shares
from tasks.serving.fitting import fit_family, fit_representation
from tasks.serving.landing import land
from tasks.serving.plugins import plugin
from tasks.serving.proving import prove
from tests.serving.bucketed import a_run

HERE = ExecutionConfig(workers=2)
MEASURED = EvaluateConfig(bootstraps=5, random_draws=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Behaviour and interest on planted users, fitted on the first 80 %, and their proof."""
    run = a_run(tmp_path_factory.mktemp("home"))
    source = plugin("sources", "synthetic").Config(users=300, segments=4, seed=3)
    landed = land(source, IngestConfig(buckets=2), source.as_of, run, HERE)
    run = run.model_copy(update={"as_of": landed.as_of})
    configs = {kind: plugin("features", kind).Config() for kind in ("behaviour", "interest")}
    fitted = {kind: fit_family(landed.tables, config, run, 0.8, HERE) for kind, config in configs.items()}
    represent = RepresentConfig(dimension=8, weights={"interest": 3.0})
    vectors = Vectors(
        recipe=Recipe(features={}, represent=represent.model_dump(mode="json")), high=0.8, features=fitted,
        represented=fit_representation(fitted, None, represent, ({}, {}), run, HERE),
    )  # fmt: skip
    candidate = Candidate(name="kmeans-k4", algorithm={"kind": "kmeans", "k": 4})
    proof = prove(candidate, vectors.represented.output, landed.tables, MEASURED, (), run)
    return candidate, vectors, proof, landed.tables, run


def test_shares_are_those_of_the_weights_and_sum_to_one(made):
    _, vectors, *_ = made
    found = shares(vectors)
    assert list(found) == ["behaviour", "interest"]
    assert sum(found.values()) == pytest.approx(1.0)
    assert found["interest"] == pytest.approx(0.75, abs=0.1)


def test_interest_carries_the_lift_and_behaviour_does_not(made):
    candidate, vectors, proof, tables, run = made
    added = contributions(candidate, vectors, proof, tables, MEASURED, IngestConfig(), run, HERE)
    assert set(added) == {"behaviour", "interest"}
    assert added["interest"] > 0.5 * proof.heldout.value > 0
    assert abs(added["behaviour"]) < 0.1 * proof.heldout.value
    only = vectors.model_copy(update={"features": {"interest": vectors.features["interest"]}})
    alone = prove(
        candidate, fit_representation(only.features, None, RepresentConfig(dimension=8, weights={"interest": 3.0}),
                                      ({}, {}), run, HERE).output, tables, MEASURED, (), run,
    )  # fmt: skip
    assert added["behaviour"] == proof.heldout.value - alone.heldout.value


def test_nothing_is_said_of_a_single_block_or_without_a_lift(made):
    candidate, vectors, proof, tables, run = made
    args = tables, MEASURED, IngestConfig(), run, HERE
    only = vectors.model_copy(update={"features": {"interest": vectors.features["interest"]}})
    assert contributions(candidate, only, proof, *args) == {}
    silent = Proof(heldout=proof.heldout.model_copy(update={"value": None}))
    assert contributions(candidate, vectors, silent, *args) == {}


def test_no_lift_is_measured_where_items_are_no_choices(made):
    candidate, vectors, _, tables, run = made
    off = MEASURED.model_copy(update={"lift": False})
    proof = prove(candidate, vectors.represented.output, tables, off, (), run)
    assert proof.heldout.value is None
    assert proof.one_to_one is None
    assert contributions(candidate, vectors, proof, tables, off, IngestConfig(), run, HERE) == {}
