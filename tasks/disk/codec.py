"""Results of our own as plain data: dataclasses of numbers, texts, arrays and frames become a `State` and come back.

What is kept on disk is JSON and arrays, never pickle; reading it back makes no other classes than those the caller
names. Everything returns as it was: types, order of dictionaries, dtypes and bits.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from io import BytesIO
from types import ModuleType
from typing import Any

import numpy as np
from pydantic import BaseModel

from schemas.artifacts import State
from schemas.errors import DataError

TREE = "tree"
_PLAIN = (bool, int, float, str, type(None))


def classes_of(module: ModuleType) -> dict[str, type]:
    """The dataclasses and configs that a module names: what `decode` may make of what the module's own code made."""
    named = vars(module).items()
    return {name: c for name, c in named if isinstance(c, type) and (is_dataclass(c) or issubclass(c, BaseModel))}


def encode(value: Any) -> State:
    """`value` as arrays and a JSON tree.

    Raises:
        TypeError: something in it is neither plain, a container, an array, a frame, a dataclass nor a config.
    """
    arrays: dict[str, np.ndarray] = {}
    return State(arrays, {TREE: _encode(value, arrays)})


def _encode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    import polars as pl

    def kept(array: np.ndarray) -> str:
        name = str(len(arrays))
        arrays[name] = array
        return name

    match value:
        case _ if type(value) in _PLAIN:
            return value
        case np.ndarray() if value.dtype != object:
            return {"array": kept(value)}
        case pl.DataFrame():
            return {"frame": kept(_bytes(value))}
        case pl.Series():
            return {"series": kept(_bytes(value.to_frame()))}
        case tuple() | list():
            return {type(value).__name__: [_encode(one, arrays) for one in value]}
        case dict():
            pairs = [[_encode(key, arrays), _encode(one, arrays)] for key, one in value.items()]
            return {type(value).__name__: pairs}
        case BaseModel():
            return {"model": [type(value).__name__, value.model_dump(mode="json")]}
        case _ if is_dataclass(value):
            inner = {field.name: _encode(getattr(value, field.name), arrays) for field in fields(value)}
            return {"dataclass": [type(value).__name__, inner]}
    raise TypeError(f"{type(value).__name__} cannot be kept as data")


def _bytes(frame: Any) -> np.ndarray:
    """A frame as Arrow IPC, (n,) uint8."""
    buffer = BytesIO()
    frame.write_ipc(buffer, compression="lz4")
    return np.frombuffer(buffer.getvalue(), np.uint8)


def decode(state: State, classes: Mapping[str, type]) -> Any:
    """What `encode` was given.

    Args:
        state: From `encode`.
        classes: Classes that may be made, by name: see `classes_of`.

    Raises:
        DataError: it names another class, or is no such tree.
    """
    return _decode(state.meta.get(TREE), state.arrays, classes)


def _decode(tree: Any, arrays: Mapping[str, np.ndarray], classes: Mapping[str, type]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((tag, value),) = tree.items()
    match tag:
        case "array":
            return arrays[value]
        case "frame" | "series":
            frame = _frame(arrays[value])
            return frame if tag == "frame" else frame.to_series()
        case "tuple" | "list":
            made = [_decode(one, arrays, classes) for one in value]
            return tuple(made) if tag == "tuple" else made
        case "dict" | "Counter":
            pairs = {_decode(key, arrays, classes): _decode(one, arrays, classes) for key, one in value}
            return pairs if tag == "dict" else Counter(pairs)
        case "model" | "dataclass" if value[0] in classes:
            made_of = classes[value[0]]
            if tag == "model":
                return made_of.model_validate(value[1])  # type: ignore[attr-defined]
            return made_of(**{name: _decode(one, arrays, classes) for name, one in value[1].items()})
    raise DataError(f"kept data holds {tag} {str(value)[:60]!r}, which nothing here makes; delete it and run again")


def _frame(data: np.ndarray) -> Any:
    import polars as pl

    return pl.read_ipc(BytesIO(data.tobytes()))
