"""The flow recommend: lists with the live model, gone with a promotion, back with a rollback; and what it refuses."""

import polars as pl
import pytest

from flows import __main__ as command_line
from schemas.errors import DataError
from tasks.recommendations.publish import UNCHOSEN
from tasks.recommendations.readers import for_user
from tests.helpers.shops import NAME, Shop, buys, failed, tasteful

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]


def test_where_items_are_no_choices_the_flow_says_so_and_ends_well(tmp_path):
    shop = Shop(tmp_path, 1)
    told = shop.recommend(evaluate={"lift": False})
    assert (told.model_version, told.why, told.files) == (None, (UNCHOSEN,), ())


def test_lists_follow_the_model_through_promotion_and_rollback(tmp_path, monkeypatch, capsys):
    shop = Shop(tmp_path, 1)
    for u in range(100):
        shop.add("events", buys(shop.rng, f"u{u}", tasteful(shop.rng, u % 5, "A")))
    told = shop.retrain()
    assert told.promoted, failed(told)
    came = shop.recommend(recommend={"per_user": True, "n": 5})
    assert (came.model_version, came.segments, came.users) == ("1", 5, 100)
    first, whole = for_user(shop.home, NAME, "u0"), shop.published("recommendations")
    assert first.list_of == "user"
    bought = set(shop.tables["events"].filter(pl.col("user_id") == "u0")["item_id"])
    assert {one.item_id[:2] for one in first.items} == {"A0"}, "of the planted taste"
    assert not {one.item_id for one in first.items} & bought
    assert shop.assign().model_version == "1"
    assert for_user(shop.home, NAME, "u0") == first, "an assignment keeps the lists of its model"

    shop.add("events", buys(shop.rng, "new", tasteful(shop.rng, 2, "A")))
    told = shop.retrain()
    assert told.promoted, failed(told)
    assert told.model_version == "2"
    with pytest.raises(DataError, match="nothing is recommended by version 2 yet"):
        for_user(shop.home, NAME, "u0")
    assert shop.recommend(recommend={"per_user": True, "n": 5}).model_version == "2"
    assert for_user(shop.home, NAME, "new").list_of == "user"

    monkeypatch.setenv("FENQUN_HOME", shop.home)
    monkeypatch.setattr(command_line, "environment", lambda debug: None)
    words = ["--segmentation", NAME]
    assert command_line.main(["rollback", *words, "--author", "ann", "--reason", "a test"]) == 0
    assert for_user(shop.home, NAME, "u0") == first
    assert shop.published("recommendations").equals(whole)
    capsys.readouterr()
    assert command_line.main(["recommendations", "new", *words]) == 0
    assert "nobody is published under this id" in capsys.readouterr().out
    assert command_line.main(["doctor"]) in (0, 1)
    assert "model and tables are whole" in capsys.readouterr().out
