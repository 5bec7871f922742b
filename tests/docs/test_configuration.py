"""The configuration reference is what the models say, whole, and every key says what it is for."""

import runpy
from pathlib import Path

import pytest
import yaml

from tasks.plugins.contracts import MUST
from tasks.plugins.find import kinds

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def reference() -> dict:
    return runpy.run_path(str(DOCS / "reference.py"))


def test_the_committed_page_is_fresh(reference):
    made = reference["page"]()
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == made, "run `make docs`, and commit the page"


def test_every_key_says_what_it_is_for(reference):
    told = [*reference["fixed_sections"]().values()]
    for family in reference["FAMILIES"]:
        for config in reference["plugin_configs"](family).values():
            told += [config, *reference["below"](config)]
    plugins = reference["_all_plugins"]()
    keys = {
        f"{model.__module__}.{model.__name__}.{name}": field.description
        for model in told
        for name, field in model.model_fields.items()
        if not (name == "kind" and model in plugins)
    }
    assert len(keys) > 250
    assert [key for key, description in keys.items() if not description] == []


def test_every_plugin_of_every_family_has_its_place(reference):
    page = reference["page"]()
    assert {*reference["FAMILIES"]} == {*MUST}
    for family in MUST:
        part = page.split(f"## Plugins: {family}\n")[1].split("\n## ")[0]
        assert [kind for kind in kinds(family) if f"### {kind}\n" not in part and f"| `{kind}` |" not in part] == []


def test_bounds_choices_and_defaults_are_those_of_the_models(reference):
    page = reference["page"]()
    assert "| `seed` | integer ≥ 0 | `7` |" in page
    assert "| `quantile` | number > 0 and < 0.5 | `0.001` |" in page
    assert '| `mode` | `grid`, `random`, `tpe` | `"grid"` |' in page
    assert "| `dimension` | integer ≥ 1, or none | `32` |" in page
    assert "| `row_change` | [number, number] | `[0.6, 3.0]` |" in page
    assert "| `source` | [section](#plugins-sources) | **required** |" in page


def test_every_key_of_the_configs_that_ship_is_on_the_page(reference):
    page = reference["page"]()

    named = set()
    for path in (ROOT / "deployments" / "configs").glob("*.yaml"):
        for section, value in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            named |= {section} | (value.keys() - {"kind"} if isinstance(value, dict) else set())
    assert len(named) > 8
    assert [key for key in sorted(named) if f"| `{key}` |" not in page] == []
