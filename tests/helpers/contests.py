"""A contest of real algorithms on three blobs of users, with made-up metrics."""

import polars as pl

from schemas.artifacts import Fitted
from schemas.reports import Choice, EvaluationReport, Metric
from schemas.runs import Candidate, Contest, Recipe, Slice, Slices, Vectors
from schemas.tables import USER_ID, VECTOR
from tasks.candidates.attempt import attempt
from tasks.disk.artifacts import produce, write_parquet
from tests.helpers.days import a_day
from tests.helpers.segmenters import AS_OF, blobs


def vectors(home, X):
    """X as an artifact of user vectors."""

    def write(place):
        frame = pl.DataFrame({USER_ID: [f"u{i:03d}" for i in range(len(X))], VECTOR: X.tolist()})
        write_parquet(place / "bucket-0000.parquet", frame.cast({VECTOR: pl.List(pl.Float32)}))
        return {"rows": len(X)}

    return produce(str(home), "user_vectors", "a" * 64, write)


def slices(home, X):
    """The same vectors for all slices."""
    ref = vectors(home, X)
    made = Vectors(recipe=Recipe(features={}, represent={}), slice=Slice(share=1, as_of=AS_OF, tables={}), features={},
                   represented=Fitted(state=ref, output=ref))  # fmt: skip
    return Slices(all=made, choosing=made, proving=made)


def contest(home):
    """Five candidates in a state folder; k-means with three segments is chosen."""
    X, _, _ = blobs(120)
    day, made = a_day(home, {}, AS_OF), slices(home, X)
    algorithms = {"ward-k3": {"kind": "hierarchical", "k": 3}, "dbscan": {"kind": "dbscan"}}
    algorithms |= {f"kmeans-k{k}": {"kind": "kmeans", "k": k} for k in (2, 3, 4)}
    attempts, reports = [], []
    for name, algorithm in algorithms.items():
        attempts.append(attempt(day, Candidate(name=name, algorithm=algorithm), made, None))
        metrics = {
            "silhouette": Metric(name="silhouette", value=0.5, n=120, space="cosine"),
            "stability": Metric(name="stability", value=0.9, n=120, interval=(0.8, 1.0)),
        }
        reports.append(EvaluationReport(candidate=name, kind=algorithm["kind"], params=algorithm, metrics=metrics))
    choice = Choice(chosen="kmeans-k3", reason="", ranking=(), refused={})
    return Contest(reports=tuple(reports), choice=choice, best=attempts[3], attempts=tuple(attempts), report=reports[3])
