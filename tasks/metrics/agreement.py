"""Agreement of the segments with known labels. Users who are noise or whose label is unknown (−1) are left out.

The value is the adjusted Rand index; beside it normalised mutual information and V-measure (arithmetic mean), accuracy
under the best one-to-one matching of segments to labels (Kuhn 1955), and macro F1 under that matching.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import DataError
from schemas.reports import Metric

if TYPE_CHECKING:
    from schemas.config import EvaluateConfig
    from schemas.evaluation import EvaluationContext


@dataclass(frozen=True)
class Agreement:
    """All in [0, 1] but `adjusted_rand`, which is in [−1, 1]."""

    adjusted_rand: float
    mutual_information: float
    homogeneity: float
    completeness: float
    v_measure: float
    accuracy: float
    macro_f1: float


def agreement(truth: np.ndarray, labels: np.ndarray) -> Agreement:
    """Compare (n,) labels with (n,) known labels; negative on either side is left out.

    Macro F1 is the mean over the known labels; one that is matched with no segment has F1 0.

    Raises:
        DataError: The lengths differ, or no user has both.
    """
    from sklearn import metrics

    truth, labels = np.asarray(truth), np.asarray(labels)
    if truth.shape != labels.shape:
        raise DataError(f"agreement: {labels.shape} labels against {truth.shape} known ones; they must align")
    both = (truth >= 0) & (labels >= 0)
    if not both.any():
        raise DataError("agreement: no user has both a segment and a known label")
    truth, labels = truth[both], labels[both]
    homogeneity, completeness, v_measure = metrics.homogeneity_completeness_v_measure(truth, labels)
    return Agreement(
        float(metrics.adjusted_rand_score(truth, labels)),
        float(metrics.normalized_mutual_info_score(truth, labels)),
        float(homogeneity),
        float(completeness),
        float(v_measure),
        *_matched(np.asarray(metrics.cluster.contingency_matrix(truth, labels), np.float64)),
    )


def compute(context: "EvaluationContext", config: "EvaluateConfig") -> Metric:
    """Agreement with `context.truth`; missing where no labels are given or nobody has both."""
    labels = np.asarray(context.labels)
    rest: dict[str, Any] = {"noise_share": float(np.mean(labels < 0)) if len(labels) else 0.0}
    if context.truth is None:
        return Metric.of("agreement", np.nan, len(labels), reason="no known labels are given", **rest)
    n = int(np.sum((labels >= 0) & (np.asarray(context.truth) >= 0)))
    if n == 0:
        return Metric.of("agreement", np.nan, 0, reason="no user has both a segment and a known label", **rest)
    found = agreement(context.truth, labels)
    return Metric.of("agreement", found.adjusted_rand, n, details=asdict(found), **rest)


def _matched(table: np.ndarray) -> tuple[float, float]:
    """Accuracy and macro F1 of a (labels, segments) table under the matching with the most users."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table, maximize=True)
    hits = table[rows, columns]
    f1 = np.zeros(len(table))
    f1[rows] = 2 * hits / (table.sum(axis=1)[rows] + table.sum(axis=0)[columns])
    return float(hits.sum() / table.sum()), float(f1.mean())
