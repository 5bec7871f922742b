"""A full disk, a locked or damaged database and a damaged log: one line that says what to do."""

import errno
import sqlite3

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from mlflow.exceptions import MlflowException

from schemas.config import LedgerConfig
from schemas.errors import DataError
from tasks.disk import database
from tasks.stores.explained import explained
from tasks.stores.ledger import Ledger


def wrapped(inner: Exception, outer: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/state/a"), "/state/a: the disk is full"),
        (OSError("Generic LocalFileSystem error: No space left on device (os error 28)"), "/home: the disk is full"),
        (sqlite3.OperationalError("database or disk is full"), "the disk is full"),
        (wrapped(OSError(errno.EDQUOT, "x"), RuntimeError("task failed")), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "/state/a"), "read-only"),
        (MlflowException("(sqlite3.OperationalError) database is locked [SQL: x]"), "mlflow.db: another process"),
        (wrapped(sqlite3.DatabaseError("database disk image is malformed"), ValueError("x")), "doctor --repair"),
        (DeltaError("Invalid JSON in log record"), "doctor --repair"),
        (RuntimeError("Timed out while attempting to connect to ephemeral Prefect API server."), "/home/prefect"),
    ],
)  # fmt: skip
def test_errors_of_libraries_are_explained_in_one_line(error, words):
    told = explained(error, "/home")
    assert words in str(told)
    assert "\n" not in str(told)


def test_what_has_nothing_to_do_with_the_disk_stays_as_it_is():
    assert explained(ValueError("boom"), "/home") is None
    assert explained(OSError(errno.ENOENT, "No such file", "/x"), "/home") is None


def test_real_faults_are_explained(tmp_path):
    log = tmp_path / "t" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("{broken")
    with pytest.raises(DeltaError) as caught:
        DeltaTable(str(tmp_path / "t"))
    assert "doctor --repair" in str(explained(caught.value, str(tmp_path)))


def test_a_database_that_is_held_is_told_before_anything_starts(tmp_path, monkeypatch):
    _ = Ledger(LedgerConfig(), str(tmp_path), "x").client
    monkeypatch.setattr(database, "_SECONDS", 0.1)
    holder = sqlite3.connect(database.place(str(tmp_path)), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DataError, match=r"mlflow\.db: database is locked; end the process that holds it"):
        _ = Ledger(LedgerConfig(), str(tmp_path), "x").client
    holder.close()
