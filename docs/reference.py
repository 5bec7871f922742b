"""Writes docs/configuration.md from the models that read a config: every key, its type, bounds, default and meaning.

`make docs` runs it; a test holds the file equal to what this makes.
"""

import inspect
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

from flows.config import RetrainConfig
from schemas.config import Section
from tasks.plugins.contracts import Family
from tasks.plugins.find import kinds, plugin

TOP = "Top level"
PAGE = Path(__file__).with_name("configuration.md")
HEAD = """\
<!-- Made by docs/reference.py from the models; `make docs` makes it again. -->
# Configuration

A segmentation is one YAML file: the keys below, in sections. Unknown keys are refused with the nearest known one.
`fenqun check --config FILE` tells every mistake before anything runs; `--set section.key=value` overrides a value for
one run, and `--set search.candidates.0.grid.k=[5,8]` reaches into lists. A required key must be given. The files in
`deployments/configs/` are whole examples.

What has a `kind` is a plugin: its own keys stand beside `kind`, and are listed below under its family.
"""
FAMILIES: dict[Family, str] = {
    "sources": "Where the data comes from: the key `source`.",
    "features": "Families of features: the list `features`.",
    "encoders": "Language models: the key `encoder`, used where `texts` is given.",
    "behaviour_encoders": "Models that learn from what users did, in order: the list `behaviour_encoders`, such as "
    "`[transformer]`.",
    "clusterers": "Algorithms: `search.candidates[].algorithm`; a parameter may have several values in `grid`.",
    "metrics": "What is measured about a candidate, as the section `evaluate` says; a metric has no keys of its own.",
    "recommenders": "Ways to rank items for a segment or a user: the key `recommend.recommender`; and yardsticks.",
}
PLUGGED: dict[str, Family] = {
    "source": "sources",
    "features": "features",
    "encoder": "encoders",
    "behaviour_encoders": "behaviour_encoders",
    "algorithm": "clusterers",
    "recommender": "recommenders",
}
"""Key -> family, where a key names plugins."""


def page() -> str:
    """The whole page as Markdown."""
    fixed = [line for heading, model in fixed_sections().items() for line in _section(f"## {heading}", model)]
    families = [line for family in FAMILIES for line in _family(family)]
    return "\n".join([HEAD.rstrip(), *fixed, *families]).rstrip() + "\n"


def fixed_sections() -> dict[str, type[Section]]:
    """Heading -> model of everything but the plugins, in the order a config names them."""
    return {TOP: RetrainConfig, **{", ".join(paths): model for model, paths in below(RetrainConfig).items()}}


def plugin_configs(family: Family) -> dict[str, type[Section]]:
    """Kind -> config of a family's plugins in this repository that have one."""
    ours = {kind: plugin(family, kind) for kind in kinds(family)}
    return {
        kind: module.Config
        for kind, module in ours.items()
        if module.__name__.startswith("tasks.") and hasattr(module, "Config")
    }


@cache
def _all_plugins() -> frozenset[type[Section]]:
    return frozenset(config for family in FAMILIES for config in plugin_configs(family).values())


def below(model: type[Section], path: str = "") -> dict[type[Section], list[str]]:
    """The models that a model's keys lead to, plugins left out, each with the paths of those keys."""
    found: dict[type[Section], list[str]] = {}
    for name, field in model.model_fields.items():
        for inner in _mentioned(field.annotation):
            if inner in _all_plugins():
                continue
            if inner not in found:
                found |= {inner: [], **below(inner, f"{path}{name}.")}
            found[inner].append(f"{path}{name}")
    return found


def _mentioned(annotation: Any) -> list[type[Section]]:
    """The sections that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _mentioned(inner)]


def _family(family: Family) -> Iterator[str]:
    """A family of plugins: each with its keys, or, for metrics, with what it is."""
    yield from ["", f"## Plugins: {family}", "", FAMILIES[family]]
    if family == "metrics":
        yield from ["", "| metric | what it is |", "|---|---|"]
        yield from (f"| `{kind}` | {_cell(_summary(plugin(family, kind)))} |" for kind in kinds(family))
    for kind, config in plugin_configs(family).items():
        yield from _section(f"### {kind}", config, _summary(plugin(family, kind)))
        for inner, paths in below(config).items():
            yield from _section(f"#### {kind}: {', '.join(paths)}", inner)


def _section(heading: str, model: type[Section], summary: str = "") -> Iterator[str]:
    """A heading, what the section is, and the table of its keys."""
    yield from ["", heading, "", summary or _summary(model), ""]
    names = [name for name in model.model_fields if name != "kind" or model not in _all_plugins()]
    if not names:
        yield "It has no further keys."
        return
    properties = model.model_json_schema()["properties"]
    yield from ["| key | type | default | what it says |", "|---|---|---|---|"]
    for name in names:
        kind = _linked(_type(properties[name]), heading, name)
        told = (kind, _default(model, name), model.model_fields[name].description or "")
        yield f"| `{name}` | {' | '.join(map(_cell, told))} |"


def _linked(words: str, heading: str, name: str) -> str:
    """The type, its word `section` as a link to where that section's keys stand."""
    above = heading.removeprefix("## ")
    path = name if above == TOP else f"{above}.{name}"
    place = f"plugins-{PLUGGED[name]}" if name in PLUGGED else path.replace(".", "")
    return words.replace("section", f"[section](#{place})") if name in PLUGGED or path in fixed_sections() else words


def _summary(documented: Any) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(model: type[Section], name: str) -> str:
    """The default as a config would say it."""
    field = model.model_fields[name]
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Section):
        kind = getattr(value, "kind", None)
        return f"`{{kind: {kind}}}`" if kind else "its defaults"
    return "none" if value is None else f"`{json.dumps(value, ensure_ascii=False, default=str)}`"


def _type(schema: dict[str, Any]) -> str:
    """A JSON schema in words: the type, its bounds and its choices."""
    if "anyOf" in schema:
        kept = [_type(one) for one in schema["anyOf"] if one.get("type") != "null"]
        return ", or ".join([*kept, "none"] if len(kept) < len(schema["anyOf"]) else kept)
    if "if" in schema or "$ref" in schema:
        return "section"
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        return ", ".join(f"`{choice}`" for choice in choices)
    return {"array": _list, "object": _map}.get(schema.get("type", ""), _plain)(schema)


def _list(schema: dict[str, Any]) -> str:
    """A list, or a tuple of fixed length."""
    if "prefixItems" in schema:
        return "[" + ", ".join(map(_type, schema["prefixItems"])) + "]"
    return "list of " + _type(schema.get("items", {}))


def _map(schema: dict[str, Any]) -> str:
    inner = schema.get("additionalProperties")
    return "map of name to " + (_type(inner) if isinstance(inner, dict) else "any value")


NAMES = {"boolean": "true or false", "integer": "integer", "number": "number", "string": "text"}
BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "of {} letters or more",
    "pattern": "that matches `{}`",
}


def _plain(schema: dict[str, Any]) -> str:
    """A text, a number, a moment or a truth value, with its bounds."""
    name = "moment" if schema.get("format") == "date-time" else NAMES.get(schema.get("type", ""), "any value")
    bounds = [words.format(schema[key]) for key, words in BOUNDS.items() if key in schema]
    return " ".join([name, " and ".join(bounds)]).rstrip()


if __name__ == "__main__":
    made = page()
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made:
        PAGE.write_text(made, encoding="utf-8")
        sys.stderr.write(f"{PAGE.name} written\n")
