"""What is answered follows what is live, one user alone gets what training gave, and a changed model serves nobody."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import DataError
from tasks.models import assemble
from tasks.serving import online
from tests.helpers import versions
from tests.helpers.damage import flip
from tests.helpers.requests import raw_users
from tests.helpers.versions import make_live, rolled_back

AS_OF, NAME = versions.AS_OF, versions.NAME


def test_answers_follow_the_pointer_and_come_back_byte_for_byte(shop):
    home, (first, second), bucket, _ = shop
    users = raw_users(bucket, 12)
    follower = online.Follower(str(home), NAME, online.load(Path(first.bundle.path), first.sha256, online.REGISTERED))

    def ask() -> str:
        return json.dumps(online.plain(online.answer(follower.current(), users, AS_OF.isoformat())), sort_keys=True)

    assert json.loads(ask())["model_version"] == [online.REGISTERED] * len(users)
    make_live(shop, 0)
    old = ask()
    make_live(shop, 1)
    new = ask()
    assert set(json.loads(new)["model_version"]) == {second.version}
    assert not set(json.loads(new)["distance"]) & set(json.loads(old)["distance"])
    rolled_back(home)
    assert ask() == old


def test_one_user_alone_gets_what_training_gave_in_the_order_asked_for(shop):
    _, (first, _), bucket, _ = shop
    trained = {row["user_id"]: row for row in pl.read_parquet(f"{first.assignments.path}/*.parquet").to_dicts()}
    model = online.load(Path(first.bundle.path), first.sha256, first.version)
    users = raw_users(bucket, 20)[::-1]
    together = online.answer(model, users, AS_OF.isoformat()).to_dicts()
    alone = [online.answer(model, [user], AS_OF.isoformat()).to_dicts()[0] for user in users]
    assert together == alone == [trained[user["user_id"]] for user in users]


def test_a_user_of_whom_nothing_is_known_gets_an_answer(shop):
    *_, (first, _), _, _ = shop
    model = online.load(Path(first.bundle.path), first.sha256, "1")
    rows = online.answer(model, [{"user_id": "nobody"}, {"user_id": "no one"}], AS_OF.isoformat()).to_dicts()
    assert [row["user_id"] for row in rows] == ["nobody", "no one"]
    assert all((row["status"], row["model_version"]) == ("unassigned", "1") for row in rows), rows


def test_a_model_whose_files_changed_does_not_serve(shop, tmp_path):
    *_, (first, _), _, _ = shop
    sums = first.bundle.meta["catalogue_sha256"]
    for part, name in (("catalogue", "items.parquet"), ("bundle", "arrays.safetensors")):
        place = tmp_path / part
        shutil.copytree(first.bundle.path, place)
        data = bytearray((place / part / name).read_bytes())
        data[-9] ^= 1
        (place / part / name).write_bytes(bytes(data))
        with pytest.raises(DataError, match="changed"):
            online.load(place, first.sha256, "1", sums)
    with pytest.raises(DataError, match="not the expected"):
        online.load(Path(first.bundle.path), "0" * 64, "1", sums)


def test_the_bundle_that_training_used_is_the_one_that_serves(shop):
    _, (first, _), bucket, _ = shop
    bundle, _ = versions.fitted()
    fresh = assemble.segmenter(bundle, device="cpu").assign(bucket, AS_OF, first.version)
    loaded = online.load(Path(first.bundle.path), first.sha256, first.version)
    assert loaded.segmenter.assign(bucket, AS_OF, first.version).equals(fresh)


def test_a_catalogue_that_was_damaged_where_it_is_kept_does_not_serve(shop):
    """A number of a text's vector that changed would move users, and nothing would say so."""
    home, (first, second), *_ = shop
    make_live(shop, 0)
    fallback = online.load(Path(second.bundle.path), second.sha256, online.REGISTERED)
    path = Path(first.bundle.path) / "catalogue" / "vectors.safetensors"
    whole = path.read_bytes()
    try:
        flip(path, len(whole) - 100)
        with pytest.raises(DataError, match="the model or its catalogue is damaged"):
            online.Follower(str(home), NAME, fallback).current()
    finally:
        path.write_bytes(whole)
    assert online.Follower(str(home), NAME, fallback).current().version == first.version
