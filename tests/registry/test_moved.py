"""A state folder that was moved or copied works where it is, and leaves the place where it was alone."""

import logging
import shutil

from schemas.config import LedgerConfig
from tasks.health.repair import repair
from tasks.models.fetch import fetch
from tasks.registry.promotion import mend
from tasks.stores import pointer
from tasks.stores.ledger import Ledger
from tests.helpers import versions
from tests.helpers.versions import context, make_live, rolled_back, seen

NAME = versions.NAME


def test_a_copy_reads_and_writes_its_own_files_alone(shop, tmp_path, caplog):
    make_live(shop, 0)
    make_live(shop, 1)
    before, place = seen(shop[0]), tmp_path / "a copy 副本"
    shutil.copytree(shop[0], place)
    files = {path: path.stat().st_mtime_ns for path in shop[0].rglob("*")}
    ledger = Ledger(LedgerConfig(), str(place), NAME)
    with caplog.at_level(logging.WARNING):
        mend(pointer.read(str(place), NAME), ledger)
    assert f"the state folder is {place} now" in caplog.text
    run_id = ledger.start("after the move", {}, {})
    ledger.text(run_id, "note.txt", "here")
    assert ledger.read_text(run_id, "note.txt") == "here"
    for number in ("1", "2"):
        with ledger.model_folder(number) as folder:
            assert folder.is_relative_to(place)
        ref, _ = fetch(number, context(place), ledger)
        assert ref.path.startswith(str(place))
    assert seen(place) == before
    assert rolled_back(place).live == "1"
    assert repair(str(place), NAME) == []
    assert {path: path.stat().st_mtime_ns for path in shop[0].rglob("*")} == files
    caplog.clear()
    _ = Ledger(LedgerConfig(), str(place), NAME).client
    assert "the state folder is" not in caplog.text
