"""Every gate sees a fault that is planted where it would arise, in the data or in the code between two artifacts.

Each fault goes through the whole flow with everything else as it should be; that it would get in without its gate is
asked of the very input that the gates were given.
"""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from schemas.artifacts import ArtifactRef, State
from schemas.gates import GateConfig, GateInput
from tasks.registry import built, published
from tasks.segments import gates
from tests.helpers.clock import stopped
from tests.helpers.shops import START, Shop, buys, failed, judged, tasteful

pytestmark = [pytest.mark.usefixtures("prefect_harness"), pytest.mark.slow]

LATER = {"seed": 77}
"""Another seed, so that a retrain on the same data makes a model of its own."""


def opened(place: Path, seed: int) -> Shop:
    """200 users of five tastes, of two groups, and a model of them that is live."""
    shop = Shop(place, seed, gates={"max_churn": 0.3, "slices": ["group"], "min_slice_users": 20})
    for u in range(200):
        shop.add("users", [{"user_id": f"u{u}", "group": "fm"[u % 2]}])
        shop.add("events", buys(shop.rng, f"u{u}", tasteful(shop.rng, u % 5, "A")))
    assert shop.retrain().promoted
    return shop


def gets_in_without(names: set[str], given: GateInput, shop: Shop) -> bool:
    policy = GateConfig(**shop.settings["gates"])
    others = tuple(gate for gate in gates.GATES if gate(given, policy).name not in names)
    assert len(others) == len(gates.GATES) - len(names)
    return gates.verdict(given, policy, gates=others).promoted


def rewritten(ref: ArtifactRef, change: Callable[[pl.DataFrame], pl.DataFrame]) -> ArtifactRef:
    """A table of an artifact with its first bucket changed, as another artifact."""
    from tasks.disk.artifacts import fingerprint, produce, write_parquet
    from tasks.stores.buckets import bucket_path, read_frames

    def write(place: Path) -> dict[str, Any]:
        for number, frame in enumerate(read_frames(ref)):
            write_parquet(bucket_path(place, number), change(frame) if number == 0 else frame)
        return {"rows": ref.rows, "columns": ref.columns, "buckets": ref.buckets}

    home = Path(ref.path).parents[2]
    return produce(str(home), ref.kind, fingerprint("tampered", ref, repr(change)), write)


def assigning(change: Callable[[pl.DataFrame], pl.DataFrame]) -> dict[str, Any]:
    """Assignments that come out otherwise than they should."""

    def assign_all(*args: Any) -> ArtifactRef:
        return rewritten(real(*args), change)

    real = built.assign_all
    return {"tasks.registry.built.assign_all": assign_all}


def shifted_basis() -> dict[str, Any]:
    """A bundle whose representation is not the one that the segments were fitted in."""

    def fresh(*args: Any) -> tuple[dict[str, Any], dict[str, State]]:
        recipe, states = real(*args)
        moved = {**states["representation"].arrays}
        moved["mean"] = moved["mean"] + 0.05
        return recipe, {**states, "representation": dataclasses.replace(states["representation"], arrays=moved)}

    real = built._fresh
    return {"tasks.registry.built._fresh": fresh}


def ahead() -> dict[str, Any]:
    """Features that look at whatever is there, whenever it happened: ingest hands them nothing later, online may."""
    return {"tasks.features._matrix.until": lambda frame, as_of: frame}


def grown_sizes() -> dict[str, Any]:
    """A table of segments that tells one user more than there is."""

    def frame(*args: Any) -> pl.DataFrame:
        return real(*args).with_columns(pl.col("size") + (pl.int_range(pl.len()) == 0).cast(pl.Int64))

    real = published.segments_frame
    return {"tasks.registry.published.segments_frame": frame}


def to_nowhere() -> dict[str, Any]:
    """Transitions into a segment that nobody knows."""

    def moves(*args: Any, **rest: Any) -> pl.DataFrame:
        found = real(*args, **rest)
        odd = pl.DataFrame([{**dict.fromkeys(found.columns), "user_id": "u1", "to_segment_id": "s999",
                             "model_version": "2", "as_of": args[2]}], schema=found.schema)  # fmt: skip
        return pl.concat([found, odd])

    real = published.transitions
    return {"tasks.registry.published.transitions": moves}


def silent_stability() -> dict[str, Any]:
    """A metric that comes out as no number."""
    from schemas.reports import Metric

    return {"tasks.metrics.stability.compute": lambda context, config: Metric.of("stability", np.nan, len(context.X))}


FAULTS: dict[str, tuple[Callable[[], dict[str, Any]], set[str]]] = {
    "a user without a row": (lambda: assigning(lambda frame: frame[1:]), {"validity.rows"}),
    "a user with two rows": (
        lambda: assigning(lambda frame: pl.concat([frame, frame[:1]])),
        {"validity.rows", "published"},
    ),
    "another basis in the bundle": (shifted_basis, {"validity.vectors"}),
    "a look ahead": (ahead, {"validity.leak"}),
    "sizes of something else": (grown_sizes, {"validity.sizes", "published"}),
    "transitions to nowhere": (to_nowhere, {"published"}),
    "no number": (silent_stability, {"validity.metrics"}),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_what_goes_wrong_between_two_artifacts_is_seen(tmp_path, seed):
    shop = opened(tmp_path, seed)
    assert failed(shop.retrain(seed=78)) == set()
    live = shop.live()
    for number, (case, (fault, names)) in enumerate(FAULTS.items()):
        shop.add("events", buys(shop.rng, "u1", ["A1-1"], START + timedelta(days=61 + number), 1))
        told, given = judged(shop, fault(), seed=79 + number)
        assert failed(told) == names, case
        assert gets_in_without(names, given, shop), case
    assert shop.live() == live


def splinter(shop: Shop) -> dict[str, Any]:
    """Four people who buy what nobody else does, and a candidate that makes a segment of them."""
    for u in range(4):
        shop.add("events", buys(shop.rng, f"z{u}", tasteful(shop.rng, 0, "Z", n=60, loyal=1.0)))
    return {"search": {**kmeans(6), "warm": False}, "select": {"min_segment_users": 1}}


def giant(shop: Shop) -> dict[str, Any]:
    """Crowds of newcomers of one taste."""
    for u in range(1700):
        shop.add("events", buys(shop.rng, f"n{u}", tasteful(shop.rng, 0, "A", n=6, loyal=1.0)))
    return {"select": {"max_largest_share": 1.0}}


def noisy(shop: Shop) -> dict[str, Any]:
    """A radius in which hardly anybody has neighbours."""
    narrow = {"candidates": [{"algorithm": {"kind": "dbscan", "min_samples": 5, "eps": 0.1}}]}
    return {"search": {**narrow, "warm": False}, "select": {"max_noise": 1.0, "min_segment_users": 1}}


def truncated(shop: Shop) -> dict[str, Any]:
    """A third of the users came, the last to do something among them: that events are gone stops a run by itself."""
    last = shop.tables["events"].sort("timestamp")["user_id"][-1]
    for name, frame in shop.tables.items():
        came = pl.col("user_id").str.extract(r"(\d+)").cast(int) < 70
        shop.tables[name] = frame.filter(came | (pl.col("user_id") == last))
    return {"gates": {**shop.settings["gates"], "row_change": [0.5, 3.0]}}


def blind(shop: Shop) -> dict[str, Any]:
    """Features that see only how much users do."""
    return {"features": [{"kind": "behaviour"}], "search": {**kmeans(5), "warm": False}}


def kmeans(k: int) -> dict[str, Any]:
    return {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [k]}}]}


CANDIDATES = {
    splinter: "validity.smallest", giant: "validity.largest", noisy: "validity.unassigned", truncated: "data.rows",
    blind: "random.recipe",
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_bad_candidate_is_refused_for_what_it_is(tmp_path, seed):
    shop = opened(tmp_path, seed)
    whole = dict(shop.tables)
    for plant, name in CANDIDATES.items():
        shop.tables = dict(whole)
        assert name in failed(shop.retrain(**{**LATER, **plant(shop)}))
        assert shop.live() == "1"


@pytest.mark.parametrize("seed", range(3))
def test_age_goes_by_the_clock_and_not_by_the_data(tmp_path, seed, monkeypatch):
    """With `as_of: null` the newest event is what is looked at; on a schedule the data may be of last month."""
    shop = Shop(tmp_path, seed, gates={"max_data_age_days": 7})
    for u in range(100):
        shop.add("events", buys(shop.rng, f"u{u}", tasteful(shop.rng, u % 5, "A")))
    newest = shop.tables["events"]["timestamp"].max()
    stopped(monkeypatch, newest + timedelta(days=30))
    told, given = judged(shop, {})
    assert (failed(told), shop.live()) == ({"data.fresh"}, None)
    assert gates.verdict(
        given.model_copy(update={"now": given.newest_event}), GateConfig(**shop.settings["gates"])
    ).promoted
    stopped(monkeypatch, newest + timedelta(days=2))
    assert shop.retrain().promoted
