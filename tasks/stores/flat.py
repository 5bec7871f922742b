"""Nested settings and measured metrics under the flat names that MLflow's compare page shows."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from schemas.reports import Metric

LONGEST = 240  # MLflow takes 250, and a prefix may come


def legal(name: str, longest: int = LONGEST) -> str:
    """The name of a parameter or metric as MLflow takes it: letters, digits and ` _-.:`, at most `longest` of them.

    Parts of a name come from the data, such as a class called `R&B`. What is replaced is told apart by a short hash.
    """
    plain = re.sub(r"[^\w.\- :]", "_", name)
    if plain == name and len(name) <= longest:
        return name
    mark = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{plain[: longest - 9]}-{mark}"


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dicts and lists as flat dotted keys, so that MLflow's compare page has one column a setting."""
    if isinstance(value, Mapping):
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list | tuple) and any(isinstance(entry, Mapping) for entry in value):
        pairs = enumerate(value)
    else:
        return {prefix: value}
    return {
        key: leaf
        for name, inner in pairs
        for key, leaf in flatten(inner, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def flat_metrics(metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Metrics and their numeric details as MLflow names; missing ones are left out, never sent as NaN."""
    flat = {name: metric.value for name, metric in metrics.items() if metric.value is not None}
    for name, metric in metrics.items():
        if metric.interval is not None:
            flat[f"{name}.low"], flat[f"{name}.high"] = metric.interval
        details = {key: v for key, v in metric.details.items() if isinstance(v, int | float)}
        flat.update({f"{name}.{key}": float(value) for key, value in details.items()})
    return {legal(name): value for name, value in flat.items()}
