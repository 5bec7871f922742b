"""What `make ui` serves: every flow that is found, and every config of deployments/configs."""

import importlib
from pathlib import Path
from typing import Any

import typer

from flows.found import CONFIG, Found, flows
from schemas.errors import UsageError

CONFIGS = Path(__file__).resolve().parents[1] / "deployments" / "configs"
TAGS = ["fenqun"]
NAME = "{}-ui"
"""What is served is named so: `prefect deploy` takes a config's bare name, and neither may overwrite the other."""


def deployments() -> list[Any]:
    """A flow that takes a config once for every config that can be read; any other once for all."""
    configs = _configs()
    return [one for flow in flows() for one in _of(flow, configs)]


def _of(flow: Found, configs: dict[str, Any]) -> list[Any]:
    made = getattr(importlib.import_module(f"flows.{flow.name}"), flow.name)
    taken = [one.name for one in flow.parameters if one.annotation == CONFIG]
    form = made.to_deployment(NAME.format("any"), tags=TAGS)
    if not taken:
        return [form]
    return [  # the form of a flow takes a second to make, and is the same for all of its configs
        form.model_copy(update={"name": NAME.format(name), "parameters": dict.fromkeys(taken, config)})
        for name, config in configs.items()
    ]


def _configs() -> dict[str, Any]:
    """Config files by their name, as JSON; one that cannot be read is told and left out."""
    from flows.config import load

    found = {}
    for path in sorted(CONFIGS.glob("*.yaml")):
        try:
            found[path.stem] = load(path).model_dump(mode="json")
        except UsageError as error:
            typer.echo(f"left out: {error}", err=True)
    return found
