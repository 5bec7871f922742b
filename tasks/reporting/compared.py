"""What of a contest is compared in MLflow: quality against k, and the parameters that tell candidates apart."""

import re
from collections.abc import Sequence
from typing import Any

from schemas.reports import EvaluationReport
from tasks.plugins.find import plugin
from tasks.selection.choose import LIFT
from tasks.selection.space import Item, varied
from tasks.stores.flat import legal

BY_K = {"silhouette": "silhouette.cosine", "wcss": "wcss", "stability": "stability", "lift": LIFT}
"""What is drawn against k, and the figure of a report that it is."""


def by_k(reports: Sequence[EvaluationReport]) -> dict[str, dict[int, float]]:
    """Curves of a contest: `by_k/<candidate without its k>/<measure>` -> k -> value; of figures that are missing none.

    Candidates of which more than k differs, such as their space or a warm start, are told apart by their names.
    """
    curves: dict[str, dict[int, float]] = {}
    for report in reports:
        k = report.params.get("k")
        if not isinstance(k, int):
            continue
        family = legal(re.sub(rf"-k{k}(?=-|$)", "", report.candidate, count=1), 200)
        for measure, name in BY_K.items():
            if (value := report.value(name)) is not None:
                curves.setdefault(f"by_k/{family}/{measure}", {})[k] = value
    return curves


def distinguishing(report: EvaluationReport, items: Sequence[Item]) -> dict[str, Any]:
    """The parameters that tell a candidate from others: algorithm, space, what is searched, and what is no default.

    Args:
        report: The candidate's.
        items: The search space.
    """
    config = plugin("clusterers", report.kind).Config.model_validate(report.params)
    told = {"kind", "space", "k", *varied(items).get(report.kind, ()), *config.model_dump(exclude_defaults=True)}
    return {name: value for name, value in report.params.items() if name in told}
