"""Which figures a retrain draws: of what its own candidates left behind."""

import numpy as np
import polars as pl

from schemas.artifacts import RunContext
from schemas.config import EvaluateConfig, IdentityConfig, SelectConfig
from schemas.reports import Choice, EvaluationReport, Metric, SegmentProfile, ValidationReport
from schemas.runs import Attempt, Candidate, Contest
from schemas.tables import SEGMENT_ID, USER_ID, VECTOR
from tasks.serving import reporting
from tasks.serving.candidates import CURVES, EXTRAS, fit_candidate
from tasks.serving.evaluating import evaluate_candidate
from tasks.stores.artifacts import load_state, produce, write_parquet
from tests.segments.fakes import AS_OF, blobs


def vectors(home, X):
    def write(place):
        frame = pl.DataFrame({USER_ID: [f"u{i:03d}" for i in range(len(X))], VECTOR: X.tolist()})
        write_parquet(place / "bucket-0000.parquet", frame.cast({VECTOR: pl.List(pl.Float32)}))
        return {"rows": len(X)}

    return produce(str(home), "user_vectors", "a" * 64, write)


def contest(home):
    X, _, _ = blobs(120)
    ref = vectors(home, X)
    run = RunContext(run_id="r", as_of=AS_OF, seed=1, code_version="c", home=str(home))
    algorithms = {"ward-k3": {"kind": "hierarchical", "k": 3}, "dbscan": {"kind": "dbscan"}}
    algorithms |= {f"kmeans-k{k}": {"kind": "kmeans", "k": k} for k in (2, 3, 4)}
    attempts, reports = [], []
    for name, algorithm in algorithms.items():
        candidate = Candidate(name=name, algorithm=algorithm)
        attempts.append(Attempt(candidate=candidate, fitted=fit_candidate(candidate, ref, ref, {}, run), vectors=ref))
        metrics = {
            "silhouette": Metric(name="silhouette", value=0.5, n=120, space="cosine"),
            "stability": Metric(name="stability", value=0.9, n=120, interval=(0.8, 1.0)),
        }
        reports.append(EvaluationReport(candidate=name, kind=algorithm["kind"], params=algorithm, metrics=metrics))
    choice = Choice(chosen="kmeans-k3", reason="", ranking=(), refused={})
    return Contest(reports=tuple(reports), choice=choice, best=attempts[3], attempts=tuple(attempts), report=reports[3])


def test_every_curve_that_a_candidate_left_is_drawn(tmp_path):
    found = contest(tmp_path)
    profiles = tuple(SegmentProfile(segment_id=f"s{i}", name=f"n{i}", size=40, share=0.3) for i in range(3))
    drawn = reporting.drawn(found, profiles, 1)
    assert [one.caption for one in drawn] == [
        "Users on the first two principal axes", "Users of each segment", "Silhouette (cosine) against k",
        "Stability of each candidate, with its 95 % interval", "Silhouette (cosine) of every user, by segment",
        "Dendrogram, ward-k3", "Distances to the k-th neighbour, dbscan",
    ]  # fmt: skip
    assert drawn[2].figure.axes[0].lines[0].get_xdata().tolist() == [2, 3, 4]
    pictures = reporting.inlined(drawn)
    assert len({picture.svg for picture in pictures}) == len(drawn)


def test_what_a_fit_found_odd_is_told_with_its_numbers(tmp_path):
    X, _, _ = blobs(120)
    X[7] *= 1e6
    ref = vectors(tmp_path, X)
    run = RunContext(run_id="r", as_of=AS_OF, seed=1, code_version="c", home=str(tmp_path))
    candidate = Candidate(name="kmeans-k4", algorithm={"kind": "kmeans", "k": 4})
    attempt = Attempt(candidate=candidate, fitted=fit_candidate(candidate, ref, ref, {}, run), vectors=ref)
    config = (EvaluateConfig(refits=0, lift=False), SelectConfig(), IdentityConfig())
    (line,) = evaluate_candidate(attempt, None, {}, *config, run).warnings
    assert "row 7" in line


def test_the_curves_are_the_fits_own(tmp_path):
    found = contest(tmp_path)
    ward, dbscan, kmeans = (load_state(found.attempts[number].fitted).arrays for number in (0, 1, 2))
    assert ward[f"{EXTRAS}linkage"].shape == (119, 4)
    curve = dbscan[f"{EXTRAS}k_distances"]
    assert (np.diff(curve) >= 0).all()
    assert curve[0] <= dbscan[f"{EXTRAS}eps"] <= curve[-1]
    assert not {f"{EXTRAS}{name}" for name in CURVES} & kmeans.keys()


def test_users_of_the_table_of_assignments_are_counted_by_segment(tmp_path):
    def write(place):
        for number, segments in enumerate((["s001", None], ["s001"])):
            frame = pl.DataFrame({USER_ID: [f"u{number}{i}" for i in range(len(segments))], SEGMENT_ID: segments})
            write_parquet(place / f"bucket-000{number}.parquet", frame)
        return {"rows": 3, "buckets": 2}

    assert reporting.assigned(produce(str(tmp_path), "assignments", "a" * 64, write)) == {"s001": 2, None: 1}


def test_links_to_data_docs_are_relative(tmp_path):
    page = tmp_path / "reports" / "films" / "r.html"
    docs = ValidationReport(stage="raw", results=(), docs=str(tmp_path / "docs" / "r r" / "index.html"))
    assert reporting.linked([docs, ValidationReport(stage="x", results=())], page) == {
        "raw": "../../docs/r%20r/index.html"
    }
