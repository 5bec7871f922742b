"""Nested settings and measured metrics under the flat names that MLflow's compare page shows."""

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.reports import Metric


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
    return flat
