"""What Prefect refuses before a run exists, by its own check of parameters over the schema of a form."""

import copy

import pytest
from pydantic import BaseModel

from flows.config import RetrainConfig
from flows.refusals import typed_grids
from schemas.config import Section
from tests.helpers.configs import SMALL


@pytest.fixture(scope="module")
def schema() -> dict:
    from prefect.utilities.callables import parameter_schema

    from flows.retrain import retrain

    return parameter_schema(retrain).model_dump(exclude_unset=True)


def said(schema: dict, **changes: object) -> str | None:
    """Why Prefect refuses the config, or none."""
    from prefect.utilities.schema_tools.validation import ValidationError, validate

    try:
        validate({"config": {**copy.deepcopy(SMALL), **changes}}, schema, raise_on_error=True)
    except ValidationError as error:
        return str(error)
    return None


def tried(algorithm: object, grid: object) -> dict:
    return {"candidates": [{"algorithm": {"kind": "kmeans"}}, {"algorithm": algorithm, "grid": grid}]}


@pytest.mark.parametrize(
    ("kind", "grid", "key", "why"),
    [
        ("kmeans", {"k": ["abc"]}, "grid.k[0]", "'abc' is not of type 'integer'"),
        ("kmeans", {"k": [3, 0]}, "grid.k[1]", "0 is less than the minimum of 1"),
        ("kmeans", {"k": 5}, "grid.k", "5 is not of type 'array'"),
        ("kmeans", {"k": []}, "grid.k", "should be non-empty"),
        ("kmeans", {"kk": [5]}, "grid", "'kk' was unexpected"),
        ("kmeans", {"space": ["cos"]}, "grid.space[0]", "'cos' is not one of ['cosine', 'euclidean']"),
        ("kmeans", {"kind": ["dbscan"]}, "grid", "'kind' was unexpected"),
        ("dbscan", {"k": [5]}, "grid", "'k' was unexpected"),
        ("kmens", {}, "algorithm.kind", "'kmens' is not one of ['classifier', "),
    ],
)
def test_a_wrong_grid_is_refused_by_its_key(schema: dict, kind: str, grid: object, key: str, why: str):
    told = said(schema, search=tried({"kind": kind}, grid))
    assert told is not None
    assert f"'config.search.candidates[1].{key}'" in told
    assert why in told


@pytest.mark.parametrize(
    ("changes", "key", "why"),
    [
        ({"source": {"kind": "syntetic"}}, "source.kind", "'syntetic' is not one of ['chitchat', "),
        ({"source": {}}, "source", "'kind' is a required property"),
        ({"source": "synthetic"}, "source", "'synthetic' is not of type 'object'"),
        ({"source": {"kind": "synthetic", "users": -1}}, "source.users", "-1 is less than the minimum of 1"),
        ({"encoder": {"kind": "hashing", "dimensio": 3}}, "encoder", "'dimensio' was unexpected"),
        ({"features": [{"kind": "interest"}, {"kind": "x"}]}, "features[1].kind", "'x' is not one of ['attributes', "),
        ({"search": {"candidates": []}}, "search.candidates", "should be non-empty"),
        ({"sed": 1}, "", "'sed' was unexpected"),
    ],
)
def test_a_wrong_kind_or_value_is_refused_by_its_key(schema: dict, changes: dict, key: str, why: str):
    told = said(schema, **changes)
    assert told is not None
    assert f"'config.{key}'".replace(".'", "'") in told
    assert why in told


@pytest.mark.parametrize(
    ("kind", "grid"),
    [
        ("kmeans", {"k": [3, 4], "space": ["cosine"]}),
        ("dbscan", {"eps": ["auto", 0.3]}),
        ("classifier", {"column": ["a"], "depth": [None, 3]}),
        ("hierarchical", {}),
    ],
)
def test_a_right_grid_is_taken(schema: dict, kind: str, grid: object):
    assert said(schema, search=tried({"kind": kind}, grid)) is None


def test_what_is_served_would_be_taken():
    from prefect.utilities.schema_tools.validation import validate

    from flows.deployments import deployments

    for one in deployments():
        drawn = one._parameter_openapi_schema.model_dump(exclude_unset=True)
        validate(one.parameters, drawn, raise_on_error=True, ignore_required=True)


def test_the_form_draws_a_box_of_json_where_a_kind_is_chosen():
    """Prefect's older pages know these words, and would draw what they say while they drop the rest."""
    properties = RetrainConfig.model_json_schema()["properties"]
    for union in (properties["source"], properties["encoder"], properties["features"]["items"]):
        assert not {"type", "properties", "allOf", "anyOf", "enum"} & union.keys()


def test_a_parameter_with_a_model_of_its_own_is_left_to_the_run():
    class Inner(BaseModel):
        x: int = 1

    class Config(Section):
        kind: str = "theirs"
        inner: Inner = Inner()
        k: int = 3

    made: dict = {}
    typed_grids(made, [Config])
    lists = made["then"]["properties"]["grid"]["properties"]
    assert lists["inner"]["items"] == {}
    assert lists["k"]["items"]["type"] == "integer"
