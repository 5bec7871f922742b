"""What the JSON Schema of a config says of plugins, so that Prefect refuses a wrong one before a run exists.

Pydantic says `oneOf` of a union: a value that is wrong anywhere is then "not valid under any of the given schemas".
Said kind by kind, the message names the key. Only `if`, `then` and `else` are used: Prefect's form knows nothing of
them, and draws a box of JSON as it does for `oneOf`; `type` or `allOf` would make it draw a part and drop the rest.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import GetJsonSchemaHandler

from schemas.config import Section, kind_of

Schema = dict[str, Any]


class ByKind:
    """Marks a union that is told apart by `kind`: its schema is that of the kind that is given."""

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> Schema:
        """Pydantic's own schema, its `oneOf` said kind by kind."""
        made = handler(core)
        of_kind = {kind: {"$ref": reference} for kind, reference in made.pop("discriminator")["mapping"].items()}
        del made["oneOf"]
        return {**made, **_chosen((), of_kind)}


def typed_grids(made: Schema, clusterers: Iterable[type[Section]]) -> None:
    """Says of the items of a search space that a grid has parameters of its algorithm, and values that these take.

    Args:
        made: The schema of an item, with `algorithm` and `grid`; changed in place.
        clusterers: The configs of all algorithms.
    """
    grids = {kind_of(config.model_construct()): {"properties": {"grid": _grid(config)}} for config in clusterers}
    made |= _chosen(("algorithm",), grids)


def _chosen(path: tuple[str, ...], of_kind: Mapping[str, Schema]) -> Schema:
    """The schema of the kind that stands at a path; the last to say is that no other kind exists."""
    said = _at(path, {"enum": list(of_kind)}) if not path else {}
    for kind, schema in reversed(list(of_kind.items())):
        said = {"if": _at(path, {"const": kind}), "then": schema, "else": said}
    return said


def _at(path: tuple[str, ...], kind: Schema) -> Schema:
    """That something is an object with such a kind at a path."""
    said: Schema = {"type": "object", "properties": {"kind": kind}, "required": ["kind"]}
    for key in reversed(path):
        said = {"properties": {key: said}}
    return said


def _grid(config: type[Section]) -> Schema:
    """Parameter -> list of values; one with a model of its own is left to the run."""
    properties = config.model_json_schema()["properties"]
    values = {name: {} if "$ref" in str(one) else one for name, one in properties.items() if name != "kind"}
    lists = {name: {"type": "array", "minItems": 1, "items": one} for name, one in values.items()}
    return {"properties": lists, "additionalProperties": False}
