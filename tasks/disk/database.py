"""MLflow's SQLite file under the state folder: looked at before it is opened, kept beside itself, and put back."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from schemas.errors import DataError
from tasks.disk.artifacts import aside
from tasks.disk.files import flush, set_aside

_REPAIR = "run `fenqun doctor --repair`, which puts back the copy of the last promotion, or restore a backup"
_ELSEWHERE = "where a tracking server has their runs, give its address back (ledger.tracking_uri of the config); else"
_LOG = logging.getLogger("prefect.task_runs.fenqun")  # a child of Prefect's: what is said here stands in the run's log
_TAIL = "/mlflow/artifacts"
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
"""Where MLflow's tables hold places of artifacts."""
_SECONDS = 20  # that a write of another process is waited for


def place(home: str) -> Path:
    """Where the database is."""
    return Path(home) / "mlflow" / "mlflow.db"


def check(home: str) -> None:
    """Refuses a database that is damaged, or that is not there although models of this state folder were live.

    Raises:
        DataError: it tells how to put it back.
    """
    path = place(home)
    if not path.exists() or not path.stat().st_size:
        if any((Path(home) / "segmentations").glob("*/live.json")):
            word, mend = ("empty", _REPAIR) if path.exists() else ("missing", f"{_ELSEWHERE}, {_REPAIR}")
            raise DataError(f"{path}: is {word}, although models are live; {mend}")
        return
    if wrong := _wrong(path):
        raise DataError(f"{path}: is damaged ({wrong}); {_REPAIR}")


def _wrong(path: Path) -> str | None:
    """What SQLite says of a damaged file; None where it is whole.

    Raises:
        DataError: another process holds it.
    """
    try:
        with closing(sqlite3.connect(path, timeout=_SECONDS)) as database:
            told = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        raise DataError(f"{path}: {error}; end the process that holds it, and run again") from error
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if told == "ok" else told


def relocate(home: str) -> None:
    """Lets MLflow find its files where the state folder is now, after it was moved or copied; it is told.

    MLflow writes down whole paths of artifacts. Those of the experiments that were made in this state folder lead to
    `<state folder>/mlflow/artifacts/<segmentation>`, wherever it lay then.
    """
    path, now = place(home), _artifacts(home)
    if not path.exists() or not path.stat().st_size:
        return
    with closing(sqlite3.connect(path, timeout=_SECONDS)) as database, database:
        told = database.execute("SELECT name, artifact_location FROM experiments").fetchall()
        known = [where.removesuffix(f"/{name}") for name, where in told if where and where.endswith(f"{_TAIL}/{name}")]
        for before in sorted(set(known) - {now}):
            for table, column in _PLACES:
                if column in {row[1] for row in database.execute(f"PRAGMA table_info({table})")}:
                    database.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                        (now, len(before) + 1, len(before) + 1, f"{before}/"),
                    )
            _LOG.warning("MLflow's artifacts were recorded under %s; the state folder is %s now", before, home)


def _artifacts(home: str) -> str:
    return (Path(home).resolve() / "mlflow" / "artifacts").as_uri()


def keep(home: str) -> None:
    """Copies the database as it stands, so that what a pointer names is known in the copy too."""
    path = place(home)
    if path.exists():
        with aside(_kept(path)) as temporary:
            with closing(sqlite3.connect(path, timeout=_SECONDS)) as now, closing(sqlite3.connect(temporary)) as copy:
                now.backup(copy)
            flush(temporary)


def restore(home: str) -> str | None:
    """Puts the kept copy in the place of a database that is missing, empty or damaged; what was done, or None.

    Raises:
        DataError: there is no copy, or it is damaged too.
    """
    path = place(home)
    try:
        check(home)
        return None
    except DataError as error:
        kept, why = _kept(path), str(error).split("; ")[0]
    if not kept.exists() or _wrong(kept):
        raise DataError(f"{why}, and there is no copy of the last promotion; restore {path.parent} from a backup")
    for file in (path, path.with_name(f"{path.name}-journal")):
        if file.exists():
            set_aside(file, "not what MLflow wrote")
    with aside(path) as temporary:
        temporary.write_bytes(kept.read_bytes())
        flush(temporary)
    return f"{why}: put back as it was at the last promotion"


def _kept(path: Path) -> Path:
    return path.with_name("kept.db")
