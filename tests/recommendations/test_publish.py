"""Lists stand under the pointer of their model: nobody reads those of another, and files say what tables say."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from schemas.artifacts import ArtifactRef
from schemas.errors import DataError, FenqunError
from schemas.tables import ITEMS, REMADE
from tasks.disk.artifacts import write_parquet
from tasks.health.repair import repair
from tasks.recommendations.lists import recommended
from tasks.recommendations.publish import UNCHOSEN, nothing, publish
from tasks.recommendations.readers import OWN, SEGMENT, UNASSIGNED, UNKNOWN, for_user
from tasks.registry.promotion import whole
from tasks.stores import pointer, tables
from tests.helpers import versions
from tests.helpers.damage import flip
from tests.helpers.lists import NAME, landed, live_segments, of_day, planted, recommend_day
from tests.helpers.versions import make_live, rolled_back, seen


@pytest.fixture
def small(tmp_path):
    pairs, segments = planted()
    home = tmp_path / "home"
    live_segments(home, segments, names={"s001": "=Letters", "s002": "Ends"})
    return home, landed(tmp_path, pairs)


def live(home: Path) -> pointer.Live:
    found = pointer.read(str(home), NAME).live
    assert found is not None
    return found


def put(home: Path, **named: int) -> None:
    """Names tables under the pointer, as a fault would."""
    now = pointer.read(str(home), NAME)
    assert now.live is not None
    names = {**now.live.tables, **named}
    changed = now.live.model_copy(update={"tables": names, "sums": tables.sums(str(home), NAME, names)})
    pointer.write(str(home), NAME, now.model_copy(update={"revision": now.revision + 1, "live": changed}))


def test_lists_go_with_their_model_and_come_back_with_it(shop, tmp_path):
    """Two registered versions of one segmentation, promoted and rolled back by the code that the flows run."""
    home, _, bucket, _ = shop
    refs, user = versions.tables_of(home, bucket), bucket["events"]["user_id"][0]

    def recommend() -> None:
        recommend_day(home, refs, as_of=versions.AS_OF, recommend={"per_user": True})

    make_live(shop, 0)
    recommend()
    before, told = seen(home), for_user(str(home), NAME, user)
    assert (told.model_version, told.list_of, told.why) == ("1", "user", OWN)
    old = {name: live(home).tables[name] for name in REMADE}
    make_live(shop, 1)
    with pytest.raises(DataError, match="nothing is recommended by version 2 yet; run `fenqun recommend`"):
        for_user(str(home), NAME, user)

    put(home, **old)  # the fault: a promotion that carried them over
    for name in REMADE:
        with pytest.raises(DataError, match="are of version 1, but version 2 is live; run `fenqun recommend`"):
            tables.published(str(home), NAME, name)
    with pytest.raises(DataError, match="are of version 1, but version 2 is live"):
        for_user(str(home), NAME, user)
    with pytest.raises(FenqunError, match="not whole"):
        whole(str(home), NAME, live(home))
    assert any("left out until `fenqun recommend`" in line for line in repair(str(home), NAME))
    assert not {*live(home).tables} & {*REMADE}

    recommend()
    assert for_user(str(home), NAME, user).model_version == "2"
    assert rolled_back(home).live == "1"
    assert seen(home) == before
    assert for_user(str(home), NAME, user) == told


def test_a_user_table_of_another_model_alone_is_not_read(small):
    home, refs = small
    recommend_day(home, refs, recommend={"per_user": True})
    frame = tables.published(str(home), NAME, "user_recommendations").with_columns(pl.lit("9").alias("model_version"))
    put(home, user_recommendations=tables.publish(str(home), NAME, "user_recommendations", frame))
    with pytest.raises(DataError, match="user_recommendations are of version 9, but version 1 is live"):
        for_user(str(home), NAME, "u0")


def test_an_assignment_keeps_the_lists_of_its_model(shop):
    from schemas.runs import Scored
    from tasks.registry.promotion import refresh
    from tests.helpers.days import a_day

    home, (first, _), bucket, _ = shop
    make_live(shop, 0)
    recommend_day(home, versions.tables_of(home, bucket), as_of=versions.AS_OF)
    before = tables.published(str(home), NAME, "recommendations")
    now = pointer.read(str(home), NAME).revision
    day = a_day(home, {}, versions.AS_OF, name=NAME, revision=now)
    refresh(day, Scored(model_version="1", assignments=first.assignments))
    assert tables.published(str(home), NAME, "recommendations").equals(before)


def test_of_two_changes_from_one_revision_the_second_publishes_nothing(small):
    home, refs = small
    day = of_day(home, refs)
    lists = recommended(day)
    live_segments(home, planted()[1], version="2")
    with pytest.raises(pointer.PointerMoved):
        publish(day, lists)
    assert not tables.exists(str(home), NAME, "recommendations")
    assert not (home / "reports").exists()


@pytest.mark.parametrize("table", REMADE)
def test_damaged_lists_are_told(small, table):
    home, refs = small
    recommend_day(home, refs, recommend={"per_user": True})
    (file,) = tables.table_path(str(home), NAME, table).glob("*.parquet")
    flip(file, 300)
    with pytest.raises(DataError, match=rf"{table}: version 0 is damaged.*fenqun doctor --repair"):
        for_user(str(home), NAME, "u0")


def test_a_repair_leaves_damaged_lists_out_and_the_rest_as_it_is(shop, tmp_path):
    home = tmp_path / "home"
    make_live(shop, 0)
    recommend_day(shop[0], versions.tables_of(shop[0], shop[2]), as_of=versions.AS_OF)
    before = {name: rows for name, rows in seen(shop[0]).items() if name not in REMADE}
    shutil.copytree(shop[0], home)
    (file,) = tables.table_path(str(home), NAME, "recommendations").glob("*.parquet")
    flip(file, 300)
    told = repair(str(home), NAME)
    assert "recommendations: version 0 is damaged; left out until `fenqun recommend`" in told[0]
    assert seen(home) == before
    assert repair(str(home), NAME) == []


def test_a_pointer_that_is_lost_comes_back_without_lists_that_may_be_of_another_model(shop, tmp_path):
    home = tmp_path / "home"
    make_live(shop, 0)
    recommend_day(shop[0], versions.tables_of(shop[0], shop[2]), as_of=versions.AS_OF)
    make_live(shop, 1)
    shutil.copytree(shop[0], home)
    pointer.pointer_path(str(home), NAME).unlink()
    shutil.rmtree(pointer.pointer_path(str(home), NAME).parent / "history")
    repair(str(home), NAME)
    assert (live(home).model_version, {*live(home).tables} & {*REMADE}) == ("2", set())


def test_where_items_are_no_choices_nothing_is_recommended_and_nothing_fails(small):
    home, refs = small
    recommend_day(home, refs)
    told = nothing(of_day(home, refs, evaluate={"lift": False}))
    assert (told.model_version, told.why) == (None, (UNCHOSEN,))
    assert "recommendations" not in live(home).tables, "an earlier config's lists stay no longer"
    revision = pointer.read(str(home), NAME).revision
    assert nothing(of_day(home, refs)).revision == revision, "nothing to take away is no change"


def test_readers_get_the_nearest_list_and_are_told_which(small):
    home, refs = small
    recommend_day(home, refs)
    for user, kind, why, segment in (
        ("u0", "segment", SEGMENT, "s001"), ("u10", "everybody", UNASSIGNED, None), ("new", "everybody", UNKNOWN, None),
    ):  # fmt: skip
        told = for_user(str(home), NAME, user)
        assert (told.list_of, told.why, told.segment_id, told.known) == (kind, why, segment, user != "new")
        frame = tables.published(str(home), NAME, "recommendations")
        own = frame.filter(pl.col("segment_id").eq_missing(pl.lit(segment, pl.String))).sort("rank")
        assert [one.item_id for one in told.items] == own["item_id"].to_list()
    recommend_day(home, refs, recommend={"per_user": True})
    assert for_user(str(home), NAME, "u0").list_of == "user"
    assert for_user(str(home), NAME, "new").list_of == "everybody"
    recommend_day(home, refs)
    assert for_user(str(home), NAME, "u0").list_of == "segment", "yesterday's lists of users are not today's"


def test_files_say_what_the_tables_say_and_run_in_no_spreadsheet(small):
    home, refs = small
    told = recommend_day(home, refs, recommend={"per_user": True, "n": 3})
    csv, document, users, lines = map(Path, told.files)
    frame = tables.published(str(home), NAME, "recommendations")
    read = pl.read_csv(csv)
    assert read["item_id"].to_list() == frame["item_id"].to_list()
    assert read["name"][0] == "'=Letters"
    parsed = json.loads(document.read_text(encoding="utf-8"))
    flat = [(one["segment_id"], item["rank"], item["item_id"], item["score"], item["reason"])
            for one in parsed["segments"] for item in one["items"]]  # fmt: skip
    assert flat == frame.select("segment_id", "rank", "item_id", "score", "reason").rows()
    assert [one["name"] for one in parsed["segments"]] == ["=Letters", "Ends", None]
    of_users = tables.published(str(home), NAME, "user_recommendations").sort("user_id", "rank")
    assert pl.read_csv(users).sort("user_id", "rank")["item_id"].to_list() == of_users["item_id"].to_list()
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    listed = {(row["user_id"], item["rank"], item["item_id"]) for row in rows for item in row["items"]}
    assert listed == set(of_users.select("user_id", "rank", "item_id").rows())
    assert {path.suffix for path in csv.parent.iterdir()} == {".csv", ".json", ".jsonl"}, "nothing half written"


def test_files_have_the_titles_that_the_source_knows(small, monkeypatch):
    home, refs = small
    silent = SimpleNamespace(manifest=SimpleNamespace(texts=None, encoder=None))
    monkeypatch.setattr("tasks.recommendations.candidates.bundles.load", lambda *_: silent)
    titles = pl.DataFrame([{"item_id": "a", "title": "=Alpha"}, {"item_id": "q", "title": "of nobody"}],
                          schema_overrides=ITEMS.polars_schema())  # fmt: skip
    place = Path(home) / "artifacts" / "test" / "titles"
    write_parquet(place / "bucket-0000.parquet", titles)
    ref = ArtifactRef(kind="items", fingerprint="titles", path=str(place), rows=2, columns=("item_id", "title"))
    told = recommend_day(home, {**refs, "items": ref})
    csv, document = map(Path, told.files)
    read = pl.read_csv(csv)
    assert read.columns[3:5] == ["item_id", "title"]
    assert dict(read.select("item_id", "title").iter_rows())["a"] == "'=Alpha"
    listed = json.loads(document.read_text(encoding="utf-8"))["segments"][0]["items"]
    assert {one["title"] for one in listed} <= {"=Alpha", None}
