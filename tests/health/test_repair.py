"""What is lost of a state folder is told with its repair, and the repair brings the newest whole state back."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from flows.doctor import repaired
from schemas.config import LedgerConfig
from schemas.errors import DataError
from tasks.disk import database
from tasks.disk.artifacts import produce, write_parquet
from tasks.health.repair import repair
from tasks.models.keep import check
from tasks.models.scored import champion
from tasks.registry.promotion import mend
from tasks.stores import pointer, tables
from tasks.stores.buckets import bucket_path
from tasks.stores.ledger import Ledger
from tests.helpers import versions
from tests.helpers.damage import flip
from tests.helpers.versions import make_live, rolled_back, seen

NAME = versions.NAME


@pytest.fixture
def live(shop, tmp_path):
    """A state folder in which two versions were live, one after the other; of this test alone."""
    make_live(shop, 0)
    make_live(shop, 1)
    place = tmp_path / "home"
    shutil.copytree(shop[0], place)
    return place


def broken(home: Path, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        seen(home)
    assert "fenqun doctor --repair" in str(caught.value)


def test_what_is_whole_stays_as_it_is(live):
    before, now = seen(live), pointer.read(str(live), NAME)
    assert repair(str(live), NAME) == []
    assert (seen(live), pointer.read(str(live), NAME)) == (before, now)
    assert repair(str(live), "never-heard-of") == []


@pytest.mark.parametrize("harm", ["flipped", "empty", "missing", "older"])
def test_a_lost_pointer_comes_back_from_its_history(live, harm):
    before, now = seen(live), pointer.read(str(live), NAME)
    path = pointer.pointer_path(str(live), NAME)
    if harm == "flipped":
        flip(path, 100)
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "missing":
        path.unlink()
    else:
        shutil.copyfile(pointer.revisions(str(live), NAME)[0], path)
    broken(live, "live.json")
    told = repair(str(live), NAME)
    assert told[-1].startswith(f"{NAME}: version {now.live.model_version} is live again")
    again = pointer.read(str(live), NAME)
    assert seen(live) == before
    assert (again.live, again.previous, again.born) == (now.live, now.previous, now.born)
    assert again.revision == now.revision + 1
    assert repair(str(live), NAME) == []


def test_a_pointer_without_a_history_comes_back_from_the_alias(live):
    before, now = seen(live), pointer.read(str(live), NAME)
    shutil.rmtree(pointer.pointer_path(str(live), NAME).parent / "history")
    pointer.pointer_path(str(live), NAME).unlink()
    ledger = Ledger(LedgerConfig(), str(live), NAME)
    with pytest.raises(DataError, match=r"version 2 was; .*fenqun doctor --repair"):
        mend(pointer.read(str(live), NAME), ledger)
    assert any("alias says that version 2 was live" in line for line in repair(str(live), NAME))
    again = pointer.read(str(live), NAME)
    assert seen(live) == before
    assert (again.live.model_version, again.live.sha256, again.live.as_of) == ("2", now.live.sha256, now.live.as_of)


def test_damaged_assignments_go_back_to_the_revision_before(live):
    rolled = pointer.revisions(str(live), NAME)
    path = tables.table_path(str(live), NAME, "assignments")
    now = pointer.read(str(live), NAME).live
    from deltalake import DeltaTable

    (uri,) = DeltaTable(str(path), version=now.tables["assignments"]).file_uris()
    flip(path / uri.rsplit("/", 1)[-1], 300)
    broken(live, "assignments: version 1 is damaged")
    assert repair(str(live), NAME)[-1].startswith(f"{NAME}: version 1 is live again")
    assert pointer.read(str(live), NAME).live == pointer.parsed(rolled[0]).live
    seen(live)


@pytest.mark.parametrize("harm", ["data", "log"])
def test_damaged_assignments_are_published_again_from_the_artifact_of_their_run(live, harm):
    before, now = seen(live), pointer.read(str(live), NAME)
    frame = tables.published(str(live), NAME, "assignments")
    shutil.rmtree(live / now.live.made["assignments"])
    kind, digest = Path(now.live.made["assignments"]).parts[-2:]
    produce(str(live), kind, digest, writer(frame))
    path = tables.table_path(str(live), NAME, "assignments")
    for file in path.glob("*.parquet") if harm == "data" else path.glob("_delta_log/*.json"):
        file.write_bytes(file.read_bytes()[:40])
    broken(live, "assignments: version 1 is damaged")
    assert any("published again from" in line for line in repair(str(live), NAME))
    assert seen(live) == before
    assert pointer.read(str(live), NAME).live.model_version == now.live.model_version
    assert repair(str(live), NAME) == []


def writer(frame: pl.DataFrame):
    def write(place: Path) -> dict:
        write_parquet(bucket_path(place, 0), frame)
        return {"rows": len(frame), "columns": tuple(frame.columns)}

    return write


def test_a_damaged_history_is_cut_and_the_champion_stays(live):
    before = seen(live)
    for file in tables.table_path(str(live), NAME, "transitions").glob("*.parquet"):
        flip(file, 200)
    broken(live, "transitions: version 1 is damaged")
    told = repair(str(live), NAME)
    assert any("begins anew" in line for line in told)
    after = seen(live)
    assert after["transitions"] == []
    assert after["assignments"] == before["assignments"]
    assert rolled_back(live).live == "1"


def test_nothing_is_added_to_a_damaged_table(live):
    """A new sum would speak for the damage."""
    for file in tables.table_path(str(live), NAME, "transitions").glob("*.parquet"):
        flip(file, 200)
    before = pointer.read(str(live), NAME)
    first, _ = versions.recalled(live, "1")
    with pytest.raises(DataError, match="transitions: version 1 is damaged"):
        versions.promote(live, first)
    assert pointer.read(str(live), NAME) == before


@pytest.mark.parametrize("part", ["bundle/arrays", "catalogue/vectors"])
def test_a_damaged_model_is_fetched_from_mlflow(live, part):
    now = pointer.read(str(live), NAME).live
    flip(live / now.bundle / f"{part}.safetensors", 500)
    if part.startswith("bundle"):
        with pytest.raises(DataError, match=r"bundle: the live model is damaged .*fenqun doctor --repair"):
            champion(str(live), NAME)
    with pytest.raises(DataError, match=r"the model or its catalogue is damaged; run `fenqun doctor --repair`"):
        check(str(live), now.bundle)
    assert any("fetched from MLflow" in line for line in repair(str(live), NAME))
    again, _ = champion(str(live), NAME)
    assert (again.sha256, again.model_version) == (now.sha256, now.model_version)
    assert repair(str(live), NAME) == []


@pytest.mark.parametrize("harm", ["missing", "empty", "damaged"])
def test_a_lost_database_comes_back_as_it_was_at_the_last_promotion(live, harm):
    path = database.place(str(live))
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(b"" if harm == "empty" else path.read_bytes()[:5000] + b"?" * 9000)
    with pytest.raises(DataError, match=r"mlflow\.db: is .*fenqun doctor --repair"):
        _ = Ledger(LedgerConfig(), str(live), NAME).client
    assert "put back as it was at the last promotion" in repair(str(live), NAME)[0]
    ledger = Ledger(LedgerConfig(), str(live), NAME)
    mend(pointer.read(str(live), NAME), ledger)
    assert ledger.aliases()["champion"] == "2"


def test_a_database_older_than_the_pointer_is_told(live):
    ledger = Ledger(LedgerConfig(), str(live), NAME)
    ledger.alias("champion", None)
    ledger.client.delete_model_version(NAME, "2")
    with pytest.raises(DataError, match=r"no version 2 .* but is live; .*fenqun doctor --repair"):
        mend(pointer.read(str(live), NAME), ledger)


def test_the_command_repairs_every_segmentation_of_the_state_folder(live):
    now = pointer.read(str(live), NAME)
    pointer.pointer_path(str(live), NAME).unlink()
    told = list(repaired(str(live)))
    assert told[-1].startswith(f"{NAME}: version {now.live.model_version} is live again")
    assert pointer.read(str(live), NAME).live == now.live
    assert list(repaired(str(live))) == [f"{NAME}: nothing to repair"]
