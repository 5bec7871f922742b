"""Older bundles, brought to the present schema one version at a time. Each step is pure and is kept for ever."""

import re
from collections.abc import Callable
from typing import Any

from schemas.errors import DataError

CURRENT = 2
_KEY = "schema_version"


def _from_1(facts: dict[str, Any]) -> dict[str, Any]:
    """Version 1 listed bare segment ids, without names, and did not remember the first unused number."""
    ids = facts["segment_ids"]
    rest = {key: value for key, value in facts.items() if key != "segment_ids"}
    numbers = [int(match.group()) for match in (re.search(r"\d+$", name) for name in ids) if match]
    segments = [{"id": name, "name": name} for name in ids]
    return {**rest, "segments": segments, "next_number": max(numbers, default=0) + 1}


STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}


def migrate(facts: Any) -> dict[str, Any]:
    """The facts of a bundle in the present schema.

    Raises:
        DataError: no schema version, one from the future, or one that no step starts from.
    """
    if not isinstance(facts, dict) or type(facts.get(_KEY)) is not int:
        raise DataError("bundle.json: no schema_version; this is not a bundle")
    while (version := facts[_KEY]) != CURRENT:
        if version not in STEPS:
            raise DataError(f"bundle.json: schema version {version} is unknown; this fenqun reads 1 to {CURRENT}")
        try:
            facts = {**STEPS[version](facts), _KEY: version + 1}
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"bundle.json: not a bundle of schema version {version}") from error
    return facts
