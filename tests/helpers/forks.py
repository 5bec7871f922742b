"""Commands in processes of their own that begin with everything imported: each costs its work alone.

They are forked from a process that has imported what commands need and used none of it, so that no thread is lost.
"""

import io
import json
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

IMPORTED = ["flows.__main__", "flows.retrain", "flows.assign", "flows.promote", "flows.rollback", "flows.scoring"]
IMPORTED += ["mlflow", "mlflow.pyfunc.scoring_server", "deltalake", "torch", "sklearn.cluster", "great_expectations"]


@dataclass(frozen=True)
class Told:
    """What a command came to.

    Attributes:
        code: Its exit code; −9 where it was killed.
        out: What it printed.
        errors: What it told beside.
    """

    code: int
    out: str
    errors: str


def command(home: Path, *words: str, before: Callable[[], None] | None = None) -> Told:
    """`fenqun WORDS` over a state folder; `before` is called in its process first.

    A Prefect server has to be there (fixture `prefect_harness`).
    """
    from prefect.settings import PREFECT_API_URL

    address = str(PREFECT_API_URL.value())
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    with TemporaryDirectory() as place:
        process = context.Process(target=_run, args=(str(home), [*words], place, address, before))
        process.start()
        process.join(600)
        if process.is_alive():
            process.kill()
            raise AssertionError(f"{words} did not end")
        told = Path(place) / "told.json"
        found: dict[str, Any] = json.loads(told.read_text()) if told.exists() else {}
    return Told(found.get("code", process.exitcode or 0), found.get("out", ""), found.get("errors", ""))


def _run(home: str, words: Sequence[str], place: str, address: str, before: Callable[[], None] | None) -> None:
    from prefect.settings import PREFECT_API_URL
    from prefect.settings.context import temporary_settings

    from flows.__main__ import main

    os.environ.update(FENQUN_HOME=home, PREFECT_API_URL=address)
    if before is not None:
        before()
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors), temporary_settings({PREFECT_API_URL: address}):
        code = main(list(words))
    Path(place, "told.json").write_text(json.dumps({"code": code, "out": out.getvalue(), "errors": errors.getvalue()}))


def die() -> None:
    """Ends this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)
