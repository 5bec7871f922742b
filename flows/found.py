"""The flows of this folder, read without importing them: that takes seconds, and `fenqun --help` should not.

A flow is a function that wears Prefect's `@flow` in a file of its own name. Its signature and its Google docstring say
all that the command line and the deployments need to know.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from docstring_parser import parse

from schemas.errors import FenqunError

HERE = Path(__file__).parent
CONFIG = "RetrainConfig"
"""The annotation of a parameter that is a segmentation's config."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a flow, as written in its file."""

    name: str
    annotation: str
    default: str | None
    help: str


@dataclass(frozen=True)
class Found:
    """A flow."""

    name: str
    about: str
    parameters: tuple[Parameter, ...]

    @property
    def takes_config(self) -> bool:
        """Whether it runs a segmentation by its config."""
        return any(parameter.annotation == CONFIG for parameter in self.parameters)


def flows(folder: Path = HERE) -> tuple[Found, ...]:
    """Every flow of a folder, by name.

    Raises:
        FenqunError: a file is no Python.
    """
    return tuple(found for path in sorted(folder.glob("*.py")) for found in _in(path))


def _in(path: Path) -> Iterator[Found]:
    text = path.read_text(encoding="utf-8")
    if "@flow" not in text:
        return
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise FenqunError(f"{path}: line {error.lineno}: {error.msg}") from error
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == path.stem and any(map(_is_flow, node.decorator_list)):
            yield _read(node)


def _is_flow(decorator: ast.expr) -> bool:
    head = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(head, ast.Name) and head.id == "flow"


def _read(node: ast.FunctionDef) -> Found:
    told = parse(ast.get_docstring(node) or "")
    helps = {one.arg_name: " ".join((one.description or "").split()) for one in told.params}
    about = "\n\n".join(part for part in (told.short_description, told.long_description) if part)
    parameters = tuple(
        Parameter(one.arg, _source(one.annotation) or "str", _source(default), helps.get(one.arg, ""))
        for one, default in _arguments(node.args)
    )
    return Found(node.name, about, parameters)


def _arguments(args: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Every parameter and its default."""
    plain = [*args.posonlyargs, *args.args]
    without = [None] * (len(plain) - len(args.defaults))
    return chain(
        zip(plain, [*without, *args.defaults], strict=True), zip(args.kwonlyargs, args.kw_defaults, strict=True)
    )


def _source(node: ast.expr | None) -> str | None:
    return None if node is None else ast.unparse(node)
