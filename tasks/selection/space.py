"""The search space: algorithms and values of their parameters become named candidates."""

import math
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from pydantic import ValidationError

from schemas.errors import UsageError


class Item(Protocol):
    """One algorithm's config, and parameter -> values to try in it."""

    @property
    def algorithm(self) -> Any:
        """A clusterer's `Config`."""
        ...

    @property
    def grid(self) -> Mapping[str, Sequence[Any]]:
        """Parameter -> values; empty: the config as it is."""
        ...


class Candidate(NamedTuple):
    """A readable name, such as kmeans-k20, safe in MLflow and in paths, and a clusterer's config."""

    name: str
    config: Any


def expand(
    items: Sequence[Item],
    mode: Literal["grid", "random"] = "grid",
    limit: int | None = None,
    rng: np.random.Generator | int | None = None,
) -> tuple[Candidate, ...]:
    """All candidates of a search space, in the order of the items, or a seeded choice of them.

    Args:
        items: The space; equal configs count once.
        mode: "grid": every combination; "random": `limit` combinations, drawn without repeats.
        limit: Candidates at most in mode random; None: all.
        rng: Draws in mode random; a generator or its seed.

    Returns:
        Candidates with names that are unique and depend on the items only, not on what was drawn.

    Raises:
        UsageError: The space is empty, a parameter or value is not legal, or random has no rng.
    """
    drawn: Sequence[int] = range(size(items))
    if mode == "random" and limit is not None and limit < len(drawn):
        if rng is None:
            raise UsageError("search: mode random needs a generator")
        drawn = sorted(
            random.Random(int(np.random.default_rng(rng).integers(2**32))).sample(drawn, limit)
        )  # lazy: the grid may be huge
    parameters = varied(items)
    found: dict[str, Any] = {}
    for number in drawn:
        config = concrete(items, number)
        if config not in found.values():
            found[_free(_name(config, parameters[config.kind]), found)] = config
    return tuple(Candidate(name, config) for name, config in found.items())


def check(items: Sequence[Item], most: int = 200) -> None:
    """Refuses parameters and values that are not legal, looking at the first `most` combinations of each item.

    Raises:
        UsageError: The space is empty, or a parameter or value is not legal.
    """
    size(items)
    for item in items:
        for number in range(min(_combinations(item), most)):
            concrete([item], number)


def size(items: Sequence[Item]) -> int:
    """Number of combinations.

    Raises:
        UsageError: There are none.
    """
    total = sum(_combinations(item) for item in items)
    if not total:
        raise UsageError("search: no candidates; name an algorithm, and give each parameter of a grid a value")
    return total


def concrete(items: Sequence[Item], number: int) -> Any:
    """The config of combination `number` (from 0).

    Raises:
        UsageError: A parameter is unknown or its value is refused by the algorithm.
    """
    at, places = coordinates(items, number)
    item = items[at]
    point = {name: values[place] for (name, values), place in zip(item.grid.items(), places, strict=True)}
    return _with(item.algorithm, point)


def coordinates(items: Sequence[Item], number: int) -> tuple[int, tuple[int, ...]]:
    """Which item combination `number` belongs to, and the place of each of its values; the first turns slowest."""
    at = 0
    while number >= _combinations(items[at]):
        number -= _combinations(items[at])
        at += 1
    places: list[int] = []
    for values in list(items[at].grid.values())[::-1]:
        number, place = divmod(number, len(values))
        places.insert(0, place)
    return at, tuple(places)


def _with(algorithm: Any, point: Mapping[str, Any]) -> Any:
    try:
        return type(algorithm).model_validate({**algorithm.model_dump(), **point})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        legal = ", ".join(name for name in type(algorithm).model_fields if name != "kind")
        raise UsageError(f"search: {algorithm.kind}.{where}: {first['msg']}; it has {legal}") from None


def _combinations(item: Item) -> int:
    return math.prod(len(values) for values in item.grid.values())


def varied(items: Sequence[Item]) -> dict[str, list[str]]:
    """Kind -> the parameters that a name must tell: those in a grid, and those in which two items differ."""
    found: dict[str, list[str]] = {}
    for item in items:
        mine = found.setdefault(item.algorithm.kind, [])
        mine += [parameter for parameter in item.grid if parameter not in mine]
        for other in items:
            if other.algorithm.kind == item.algorithm.kind:
                mine += [
                    name
                    for name, value in item.algorithm
                    if name not in mine and value != getattr(other.algorithm, name, value)
                ]
    for item in items:
        mine = found[item.algorithm.kind]
        if "k" in type(item.algorithm).model_fields and "k" not in mine:
            mine.insert(0, "k")  # the first thing anyone asks
    return found


def _name(config: Any, parameters: Sequence[str]) -> str:
    words = [config.kind, *(_word(name, getattr(config, name)) for name in parameters)]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(words))


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return name if value else f"no_{name}"
    if isinstance(value, float):
        return f"{name}{value:g}"
    return str(value) if isinstance(value, str) else f"{name}{value}"


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """The name, or the name with the first number from 2 that makes it unique."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
