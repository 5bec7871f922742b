"""Users who fall on fewer points than segments were asked for: as many segments as there are points, and no figure of
what cannot be measured."""

from pathlib import Path

import pytest
import yaml

from flows.config import load
from tasks.stores import tables
from tests.helpers.configs import QUICK

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

KINDS, EACH = 4, 40
CONFIG = {
    "segmentation": "points",
    "features": [{"kind": "behaviour"}, {"kind": "interest"}, {"kind": "collaborative", "dimensions": 8}],
    "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [KINDS, 10]}}]},
}


def points(folder: Path) -> Path:
    """Users of four kinds, all of a kind alike: six items, the first again, then one that nobody had."""
    lines = ["user_id,item_id,event,timestamp"]
    for user in range(KINDS * EACH):
        kind = user % KINDS
        bought = [*range(6), 0, 6]
        lines += [f"u{user},k{kind}-{item},buy,2025-01-{day:02}T10:0{kind}:00Z" for day, item in enumerate(bought, 1)]
    items = [f"k{kind}-{item},kind {kind}" for kind in range(KINDS) for item in range(7)]
    (folder / "events.csv").write_text("\n".join(lines) + "\n")
    (folder / "items.csv").write_text("\n".join(["item_id,categories", *items]) + "\n")
    source = {"kind": "tables", "root": str(folder), "events": {"path": "events.csv"}, "items": {"path": "items.csv"}}
    (folder / "points.yaml").write_text(yaml.safe_dump({**CONFIG, "source": source}))
    return folder / "points.yaml"


def test_four_kinds_of_users_make_four_segments_and_a_run_again_says_the_same(home, tmp_path):
    from flows.retrain import retrain

    path, found = points(tmp_path), []
    for _ in range(2):
        told = retrain(load(path, QUICK))
        assert told.promoted, [gate for gate in told.verdict.gates if not gate.passed]
        assert told.chosen.startswith(f"kmeans-k{KINDS}")
        assert not [name for name in told.metrics if name.startswith("proof.lift")], "nothing could be hit"
        frame = tables.read(str(home), "points", "assignments").select("user_id", "segment_id")
        found.append(dict(frame.iter_rows()))
    assert found[0] == found[1]
    kinds = {(segment, int(user[1:]) % KINDS) for user, segment in found[0].items()}
    assert len(kinds) == len({segment for segment, _ in kinds}) == KINDS
    assert len(found[0]) == KINDS * EACH
