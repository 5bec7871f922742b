"""Data damaged as exports are: delivered twice, under second ids, by half; told before anything is published."""

import shutil
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from schemas.errors import DataError
from schemas.gates import GateConfig, GateInput
from tests.helpers.shops import NAME, Shop, buys, failed, judged, tasteful

pytestmark = pytest.mark.usefixtures("prefect_harness")

USERS = 120
PLAIN = {"validation": {"max_mean_shift": 1e6, "max_share_shift": 1.0}, "gates": {"max_churn": 0.3}}
"""The bounds as they are where nobody sets them."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory, prefect_harness) -> Shop:
    """Users of five tastes, of whom some bought the same thing twice in a minute, and a model that is live."""
    shop = Shop(tmp_path_factory.mktemp("shop"), 1, **PLAIN)
    for u in range(USERS):
        shop.add("events", buys(shop.rng, f"u{u}", tasteful(shop.rng, u % 5, "A", n=12)))
    shop.tables["events"] = pl.concat([shop.tables["events"], shop.tables["events"][:100]])
    told = shop.retrain()
    assert told.promoted, failed(told)
    return shop


@pytest.fixture
def shop(opened, tmp_path) -> Shop:
    """The same shop in a folder of its own."""
    shutil.copytree(opened.place, tmp_path / "shop")
    own = Shop(tmp_path / "shop", 1, **PLAIN)
    own.tables = dict(opened.tables)
    return own


def state(shop: Shop) -> tuple[str, dict]:
    from tasks.stores import pointer

    return pointer.pointer_path(shop.home, NAME).read_text(), shop.told()


def number(frame: pl.DataFrame) -> pl.Series:
    return frame["user_id"].str.extract(r"(\d+)").cast(pl.Int64)


def renamed(frame: pl.DataFrame, suffix: str) -> pl.DataFrame:
    return frame.with_columns(pl.col("user_id") + suffix)


DAMAGE: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "every row twice": (lambda f: pl.concat([f, f]), r"events\.distinct: 0\.4\d+ \(of the rows repeat no other one"),
    "every user under a second id": (
        lambda f: pl.concat([f, renamed(f, "-copy")]),
        r"events\.copied: 0\.5 \(of the users have the history of another user, 0 in the last accepted run",
    ),
    "a tenth of the users under a second id": (
        lambda f: pl.concat([f, renamed(f.filter(number(f) % 10 == 0), "-copy")]),
        r"events\.copied: 0\.09\d*",
    ),
    "half of the users": (
        lambda f: f.filter((number(f) < USERS // 2) | (f["timestamp"] == f["timestamp"].max())),
        r"events\.row_change: \d+ \(rows, 1540 in the last accepted run",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
@pytest.mark.parametrize("flow", ["retrain", "assign"])
def test_damaged_data_stops_the_run_in_words_and_what_is_live_stays(shop, case, flow):
    damage, words = DAMAGE[case]
    before = state(shop)
    shop.tables["events"] = damage(shop.tables["events"])
    with pytest.raises(DataError, match=words):
        shop.retrain() if flow == "retrain" else shop.assign()
    assert state(shop) == before


def test_newcomers_do_not_make_up_for_users_who_vanished(shop):
    """As many rows and users as before, but half of them are other people."""
    frame = shop.tables["events"]
    rng = np.random.default_rng(3)
    shop.tables["events"] = frame.filter(number(frame) >= USERS // 2)
    for u in range(USERS, USERS + USERS // 2):
        shop.add("events", buys(rng, f"u{u}", tasteful(rng, u % 5, "A", n=12)))
    shop.add("events", frame.filter(pl.col("timestamp") == frame["timestamp"].max()).to_dicts()[:1])
    live = shop.live()
    told, given = judged(shop, {}, seed=5)
    assert "data.kept" in failed(told)
    assert shop.live() == live
    assert let_in(given, kept=0.7), "by nothing else"


def let_in(given: GateInput, **changes) -> bool:
    from tasks.segments import gates

    return gates.verdict(given.model_copy(update=changes), GateConfig(**PLAIN["gates"])).promoted


def test_repeats_and_twins_that_were_always_there_stop_nothing(shop):
    rng = np.random.default_rng(4)
    for u in range(USERS, USERS + 6):
        shop.add("events", buys(rng, f"u{u}", tasteful(rng, u % 5, "A", n=12)))
    frame = shop.tables["events"]
    shop.tables["events"] = pl.concat([frame, frame[:60], renamed(frame.filter(number(frame) < 5), "-copy")])
    assert shop.assign().users == USERS + 11
