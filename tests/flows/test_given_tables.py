"""Whatever tables a source gives, a run ends in segments: with one of them alone, without times, without items."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.metrics import adjusted_rand_score

from flows.config import load
from tasks.stores import tables
from tests.helpers.configs import QUICK

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

USERS, GROUPS = 160, 4
TOPICS = (
    ("match", "goal", "league"),
    ("flour", "oven", "bread"),
    ("stock", "bond", "price"),
    ("beach", "hotel", "trip"),
)
ONE_MOMENT, ONE_ITEM = {"timestamp": "2025-01-31"}, {"item_id": "everything"}
GIVEN: Mapping[str, tuple[list[str], dict[str, object]]] = {
    "events": (["events"], {"features": [{"kind": "interest"}]}),
    "users": (["users"], {"features": [{"kind": "attributes"}]}),
    "edges": (["edges"], {"features": [{"kind": "social"}]}),
    "texts": (["texts"], {"features": [], "texts": {}, "encoder": {"kind": "hashing"}}),
    "users and edges": (["users", "edges"], {"features": [{"kind": "attributes"}, {"kind": "social"}]}),
    "events without times": (["untimed"], {"features": [{"kind": "interest"}]}),
    "events without items": (["itemless"], {"features": [{"kind": "behaviour"}]}),
}
"""What a source gives -> its files, and what describes the users."""


def write(folder: Path) -> None:
    """Four groups that whatever is told of a user tells apart."""
    rng = np.random.default_rng(0)
    lines: dict[str, list[str]] = {name: [] for name in ("events", "users", "edges", "texts", "untimed", "itemless")}
    for user in range(USERS):
        group = user % GROUPS
        lines["users"].append(f"u{user},{('Lima', 'Oslo', 'Bonn', 'Rome')[group]},{20 + 10 * group + rng.integers(5)}")
        for day in range(1, 13):
            other = rng.integers(USERS // GROUPS) * GROUPS + (group if rng.random() < 0.95 else rng.integers(GROUPS))
            item, when = f"i{group}-{rng.integers(12)}", f"2025-01-{day:02}T10:00:00Z"
            lines["edges"].append(f"u{user},u{other}")
            lines["events"].append(f"u{user},{item},G{group},{when}")
            lines["untimed"].append(f"u{user},{item},G{group}")
            lines["itemless"].append(f"u{user},{('view', 'buy', 'like', 'share')[group]},{when}")
            lines["texts"].append(f"u{user},{when},{' '.join(rng.choice(TOPICS[group], 4))}")
    headers = {"events": "user_id,item_id,event,timestamp", "users": "user_id,city,age", "edges": "src,dst"}
    headers |= {"untimed": "user_id,item_id,event", "itemless": "user_id,event,timestamp"}
    headers["texts"] = "user_id,timestamp,text"
    for name, header in headers.items():
        (folder / f"{name}.csv").write_text("\n".join([header, *lines[name]]) + "\n")
    items = [f"i{group}-{number},G{group}" for group in range(GROUPS) for number in range(12)]
    (folder / "items.csv").write_text("\n".join(["item_id,categories", *items]) + "\n")


def source(folder: Path, files: list[str]) -> dict[str, object]:
    """The source of a config that gives the files."""
    given: dict[str, object] = {"kind": "tables", "root": str(folder)}
    for name in files:
        lacks = {"untimed": ONE_MOMENT, "itemless": ONE_ITEM}.get(name, {})
        given["events" if lacks else name] = {"path": f"{name}.csv", "defaults": lacks}
    return given | ({"items": {"path": "items.csv"}} if {"events", "untimed"} & set(files) else {})


@pytest.mark.parametrize("what", GIVEN)
def test_each_alone_ends_in_the_segments_that_stand_in_it(home, tmp_path, what):
    from flows.retrain import retrain

    files, described = GIVEN[what]
    write(tmp_path)
    config = {"segmentation": "given", "source": source(tmp_path, files), **described}
    config["search"] = {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [GROUPS]}}]}
    (tmp_path / "given.yaml").write_text(yaml.safe_dump(config))
    told = retrain(load(tmp_path / "given.yaml", QUICK))
    assert told.promoted, [gate for gate in told.verdict.gates if not gate.passed]
    found = dict(tables.read(str(home), "given", "assignments").select("user_id", "segment_id").iter_rows())
    assert len(found) == USERS
    agreed = adjusted_rand_score([int(user[1:]) % GROUPS for user in found], list(map(str, found.values())))
    assert agreed > 0.75, agreed
    assert all(profile.claims for profile in told.profiles), "something sets each of them apart"
    assert not [profile.name for profile in told.profiles if profile.unclear]
    assert told.warning is None
