"""What is fitted for a held-out figure has seen nothing that came after the cut: not in any table, not a byte."""

import hashlib
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.helpers.shops import START, Shop, buys, patched, tasteful

pytestmark = [pytest.mark.usefixtures("prefect_harness"), pytest.mark.slow]

SETTINGS = {
    "features": [{"kind": "behaviour"}, {"kind": "interest"}, {"kind": "collaborative", "dimensions": 6},
                 {"kind": "social", "axes": 2}, {"kind": "attributes"}],
    "texts": {"half_life_days": 20}, "encoder": {"kind": "hashing", "dimension": 16},
    "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [5]}}]},
}  # fmt: skip


def whole(place, seed):
    """Users with every table: what they bought, wrote, whom they know and how old they are."""
    shop = Shop(place, seed, **SETTINGS)
    rng = shop.rng
    shop.add("items", ({"item_id": f"A{t}-{i}", "title": f"thing {i}", "categories": f"kind {t}"}
                       for t in range(5) for i in range(20)))  # fmt: skip
    for u in range(120):
        shop.add("users", [{"user_id": f"u{u}", "age": int(rng.integers(18, 80))}])
        shop.add("events", buys(rng, f"u{u}", tasteful(rng, u % 5, "A", n=int(rng.integers(5, 25)))))
        shop.add("texts", ({"user_id": f"u{u}", "timestamp": moment(rng), "text": f"words {rng.integers(99)}",
                            "kind": "review"} for _ in range(4)))  # fmt: skip
        shop.add("edges", ({"src": f"u{u}", "dst": f"u{rng.choice(np.delete(np.arange(120), u))}", "weight": 1.0,
                            "timestamp": moment(rng)} for _ in range(4)))  # fmt: skip
    return shop


def moment(rng, days=60):
    return START + timedelta(minutes=int(rng.integers(60 * 24 * days)))


def cuts(events, share):
    """Each user's moment: the time of the last of the first events, by a rewrite of the rule."""
    return {
        user: sorted(times)[int(np.ceil(share * len(times))) - 1]
        for user, times in events.group_by("user_id").agg("timestamp").iter_rows()
    }


def shuffle_after(shop, moments):
    """Everything later than its people's moments becomes something else: other items, words, friends, and times."""
    rng, end = shop.rng, shop.tables["events"]["timestamp"].max()
    for name, ends in {"events": ("user_id",), "texts": ("user_id",), "edges": ("src", "dst")}.items():
        frame = shop.tables[name].with_row_index("row")
        limits = np.stack([[moments[user].timestamp() for user in frame[who]] for who in ends])
        stamps = np.array([stamp.timestamp() for stamp in frame["timestamp"]])
        late = (stamps > limits).any(axis=0)
        floor = stamps if name != "edges" else np.maximum(stamps, limits.max())  # a new friend must not have known it
        later = floor + rng.random(len(stamps)) * (end.timestamp() + 20 * 86_400 - floor)
        moved = np.where(late, later.astype(np.int64), stamps.astype(np.int64))
        what = {"events": "item_id", "texts": "text", "edges": "dst"}[name]
        other = frame[what].to_numpy().copy()
        other[late] = rng.permutation(other[late])
        changed = frame.with_columns(pl.Series(what, other), (pl.Series("timestamp", moved) * 1_000_000).cast(
            pl.Datetime("us", "UTC")))  # fmt: skip
        assert (changed[what] != frame[what]).sum() > 10
        shop.tables[name] = changed.drop("row")


def fitted(shop, **targets):
    """sha256 of every file that the slice of 70 % and that of 80 % left behind, by slice and by its artifact's kind."""
    from flows.steps import slices_of

    seen = []

    def keep(day):
        seen.append(slices_of(day))
        return seen[-1]

    with patched({"flows.retrain.slices_of": keep, **targets}):
        shop.retrain()
    return {name: contents(getattr(seen[-1], name)) for name in ("choosing", "proving")}


def contents(vectors):
    refs = {f"features.{kind}": one for kind, one in vectors.features.items()}
    refs |= {"represented": vectors.represented, "texts": vectors.texts.fitted}
    parts = {f"{name}.{part}": getattr(one, part) for name, one in refs.items() for part in ("state", "output")}
    return {name: digest(Path(ref.path)) for name, ref in parts.items()}


def differing(ours, theirs):
    return [f"{name}: {part}" for name, parts in ours.items() for part in parts if parts[part] != theirs[name][part]]


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


@pytest.mark.parametrize("seed", range(3))
def test_everything_after_the_cut_shuffled_changes_nothing_that_is_fitted(tmp_path, seed):
    shop = whole(tmp_path, seed)
    before = fitted(shop)
    shuffle_after(shop, cuts(shop.tables["events"], 0.8))
    after = fitted(shop)
    assert differing(after, before) == []
    shuffle_after(shop, cuts(shop.tables["events"], 0.7))
    latest = fitted(shop)
    assert latest["choosing"] == before["choosing"]
    assert latest["proving"] != before["proving"]


@pytest.mark.parametrize("seed", range(3))
def test_with_any_one_table_uncut_something_fitted_changes(tmp_path, seed):
    from tasks.numerics import history

    cut = history.cut

    def own_count(bucket, keep, as_of):
        """Texts cut by their own count, as if their writers' moments did not matter."""
        found = cut(bucket, keep, as_of)
        return {**found, "texts": history._first_rows(bucket["texts"], keep)[0]}

    uncut = {
        "ties": {"tasks.numerics.history.ties": lambda edges, moments: edges},
        "texts": {"tasks.vectors.slices.history.cut": own_count},
        "times": {"tasks.features.behaviour.clock": lambda bucket, users, as_of: np.full(
            len(users), history.microseconds(as_of))},
    }  # fmt: skip
    for case, targets in uncut.items():
        shop = whole(tmp_path / case, seed)
        first = fitted(shop, **targets)
        shuffle_after(shop, cuts(shop.tables["events"], 0.8))
        assert fitted(shop, **targets)["proving"] != first["proving"], case
