"""Configs: mistakes are told by name, with the nearest known key."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from flows.config import RetrainConfig, load, parse
from schemas.errors import UsageError

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "deployments" / "configs").glob("*.yaml"))
MOVIELENS = next(path for path in CONFIGS if path.stem == "movielens")
OWN = next(path for path in CONFIGS if path.stem == "own-csv")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_is_valid(path: Path):
    assert load(path).segmentation == path.stem


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("represent.dimenson=16", "unknown key represent.dimenson; did you mean dimension?"),
        ("sed=3", "unknown key sed; did you mean seed?"),
        ("source.knd=x", "unknown key source.movielens_100k.knd; did you mean kind?"),
        ("encoder.kind=word2vec", "encoder: "),
        ("represent.dimension=0", "represent.dimension: "),
        ("search.candidates.0.algorithm.kk=3", "unknown key search.candidates.0.algorithm.kmeans.kk; did you mean k"),
        ("nothing", "expected section.key=value"),
        ("as_of=2030-13-45", "--set as_of=2030-13-45: 2030-13-45 is not YAML"),
        ("segmentation=Mein Laden", "segmentation: 'Mein Laden' is no name of a segmentation: small letters, digits"),
        ("features=[{kind: behavior}]", "features.0: unknown kind behavior; did you mean behaviour?"),
        ("source.kind=oracle", "source: unknown kind oracle; known kinds: chitchat, movielens_100k, "),
        ("source={}", "source: give a kind"),
        ("features=behaviour", "features: expected a list"),
        ("gates=off", "gates: expected a section"),
        ("search.candidates.0.grid.k=5", "search.candidates.0.grid.k: expected a list"),
        ("search={}", "search.candidates: is missing"),
    ],
)
def test_mistakes_name_the_key_and_the_nearest_known_one(override: str, told: str):
    with pytest.raises(UsageError) as caught:
        load(MOVIELENS, [override])
    assert told in str(caught.value)


def test_overrides_reach_into_sections_and_lists():
    config = load(MOVIELENS, ["search.candidates.0.grid.k=[3, 4]", "represent.weights.text=9", "seed=11"])
    assert config.search.candidates[0].grid["k"] == [3, 4]
    assert config.represent.weights["text"] == 9
    assert config.seed == 11


def test_missing_file_and_broken_yaml_are_usage_errors(tmp_path: Path):
    with pytest.raises(UsageError, match="No such file"):
        load(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1\n")
    with pytest.raises(UsageError, match="not YAML"):
        load(broken)


@pytest.mark.parametrize("text", ["segmentation: x\nas_of: 2030-13-45\n", "segmentation: \udcfc\n"])
def test_a_file_with_an_impossible_date_or_encoding_is_named(tmp_path: Path, text: str):
    path = tmp_path / "bad.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=r"bad\.yaml: not YAML"):
        load(path)


def test_a_config_that_describes_users_by_nothing_is_refused():
    with pytest.raises(UsageError, match="nothing to describe users by"):
        load(MOVIELENS, ["features=[]", "texts=null"])
    assert load(MOVIELENS, ["features=[]"]).texts is not None


@pytest.mark.parametrize("told", ["2026-01-31", "2026-01-31T00:00:00Z", "2026-01-31T08:00:00+08:00"])
def test_a_moment_without_a_zone_is_utc(told: str):
    assert load(MOVIELENS, [f"as_of={told}"]).as_of == datetime(2026, 1, 31, tzinfo=UTC)


def test_config_survives_json_unchanged():
    """What Prefect stores of a run's parameters gives the same config back."""
    config = load(MOVIELENS)
    assert RetrainConfig.model_validate_json(config.model_dump_json()) == config
    assert parse(yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json"))), "x") == config


def test_every_field_tells_what_it_is():
    """The Prefect UI draws its form from these: a field without a description is a riddle there."""

    def undescribed(schema: dict, path: str = "") -> list[str]:
        found = [
            f"{path}.{name}"
            for name, field in schema.get("properties", {}).items()
            if "description" not in field and "$ref" not in field and name != "kind" and "const" not in field
        ]
        for name, inner in schema.get("$defs", {}).items():
            found += undescribed(inner, name)
        return found

    assert undescribed(RetrainConfig.model_json_schema()) == []


def test_a_root_is_relative_to_its_file_and_on_the_command_line_to_where_one_is(tmp_path, monkeypatch):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shop.yaml").write_text(OWN.read_text().replace("root: ../sample", "root: exports"))
    monkeypatch.chdir(tmp_path)
    assert load("shop/shop.yaml").source.root == str(tmp_path / "shop" / "exports")
    assert load("shop/shop.yaml", ["source.root=exports"]).source.root == str(tmp_path / "exports")
    assert load("shop/shop.yaml", [f"source.root={tmp_path}"]).source.root == str(tmp_path)
    assert load(OWN, ["segmentation=x"]).source.root == str(OWN.parents[1] / "sample")
