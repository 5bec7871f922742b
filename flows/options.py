"""What the signature of a flow becomes on the command line."""

import ast
from collections.abc import Callable, Iterator
from datetime import datetime
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from flows import found
from schemas.errors import FenqunError

Config = Annotated[str, typer.Option("--config", metavar="FILE", help="YAML file of the segmentation.")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a value of the config; repeatable.")
]
OVERRIDES = "overrides"
LEDGER = "LedgerConfig | None"
"""The annotation of a parameter that says where MLflow is."""
PLAIN = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "Path": Path,
    "datetime": datetime,
    "list": list,
    "Literal": Literal,
}
"""What annotations of options may be made of."""


def command(flow: found.Found) -> Callable[..., Any]:
    """A function that runs the flow, with a parameter for every option; Typer draws the options from it."""

    def run(**given: Any) -> Any:
        from flows import around

        return around.run(flow, given)

    options = [option for parameter in flow.parameters for option in _options(flow.name, parameter)]
    run.__name__, run.__doc__ = flow.name, escape(flow.about)
    run.__signature__ = Signature(options)  # type: ignore[attr-defined]
    return run


def _options(flow: str, parameter: found.Parameter) -> Iterator[Parameter]:
    """The options that a parameter becomes; what cannot be said in words stays as the flow's default says."""
    name, flag, told = parameter.name, "--" + parameter.name.replace("_", "-"), escape(parameter.help)
    if parameter.annotation == found.CONFIG:
        yield _option(name, str, "--config", told, metavar="FILE")
        yield Parameter(OVERRIDES, Parameter.KEYWORD_ONLY, default=[], annotation=Overrides)
        return
    if parameter.annotation == LEDGER:
        yield _option(name, str | None, "--tracking-uri", told, None, metavar="URI")
        return
    try:
        kind, default = _type(parameter.annotation), _value(parameter.default)
    except (NameError, AttributeError, TypeError, ValueError):
        if parameter.default is not None:
            return
        raise FenqunError(
            f"flows/{flow}.py: {name}: {parameter.annotation} cannot be given on the command line; give it a default"
        ) from None
    yield _option(name, kind, f"{flag}/--no-{flag[2:]}" if default is True else flag, told, default)


def _option(name: str, kind: Any, flags: str, told: str, default: Any = Parameter.empty, **more: Any) -> Parameter:
    annotation = Annotated[kind, typer.Option(flags, help=told, **more)]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _type(annotation: str) -> Any:
    """The type that an annotation says: the text of our own file, made of `PLAIN` alone."""
    return eval(annotation, {"__builtins__": {}}, PLAIN)


def _value(default: str | None) -> Any:
    """A default that is a literal, or that there is none."""
    return Parameter.empty if default is None else ast.literal_eval(default)
