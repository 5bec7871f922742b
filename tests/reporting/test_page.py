"""Which figures a retrain draws: of what its own candidates left behind."""

import polars as pl

from schemas.reports import SegmentProfile, ValidationReport
from schemas.tables import SEGMENT_ID, USER_ID
from tasks.candidates.candidate import LABELS
from tasks.disk.artifacts import load_state, produce, write_parquet
from tasks.reporting import page
from tests.helpers.contests import contest


def assigned(home, best):
    """The best candidate's labels as a table of assignments."""
    labels = load_state(best.fitted).arrays[LABELS]

    def write(place):
        frame = pl.DataFrame(
            {USER_ID: [f"u{i:03d}" for i in range(len(labels))], SEGMENT_ID: [f"s{x}" for x in labels]}
        )
        write_parquet(place / "bucket-0000.parquet", frame)
        return {"rows": len(labels)}

    return produce(str(home), "assignments", "b" * 64, write)


def test_every_curve_that_a_candidate_left_is_drawn(tmp_path):
    found = contest(tmp_path)
    profiles = tuple(SegmentProfile(segment_id=f"s{i}", name=f"n{i}", size=40, share=0.3) for i in range(3))
    drawn = page.drawn(found, assigned(tmp_path, found.best), profiles, 1)
    assert [one.caption for one in drawn] == [
        "Users on the first two principal axes", "Users of each segment", "Silhouette (cosine) against k",
        "Stability of each candidate, with its 95 % interval", "Silhouette (cosine) of every user, by segment",
        "Dendrogram, ward-k3", "Distances to the k-th neighbour, dbscan",
    ]  # fmt: skip
    assert drawn[2].figure.axes[0].lines[0].get_xdata().tolist() == [2, 3, 4]
    pictures = page.inlined(drawn)
    assert len({picture.svg for picture in pictures}) == len(drawn)


def test_users_of_the_table_of_assignments_are_counted_by_segment(tmp_path):
    def write(place):
        for number, segments in enumerate((["s001", None], ["s001"])):
            frame = pl.DataFrame({USER_ID: [f"u{number}{i}" for i in range(len(segments))], SEGMENT_ID: segments})
            write_parquet(place / f"bucket-000{number}.parquet", frame)
        return {"rows": 3, "buckets": 2}

    assert page.assigned(produce(str(tmp_path), "assignments", "a" * 64, write)) == {"s001": 2, None: 1}


def test_links_to_data_docs_are_relative(tmp_path):
    path = tmp_path / "reports" / "films" / "r.html"
    docs = ValidationReport(stage="raw", results=(), docs=str(tmp_path / "docs" / "r r" / "index.html"))
    assert page.linked([docs, ValidationReport(stage="x", results=())], path) == {"raw": "../../docs/r%20r/index.html"}
