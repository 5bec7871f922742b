"""Moments of a command at which it can be killed: before each write to MLflow, each rename, each commit of a table."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers.forks import die

WRITES = (
    "create_experiment", "set_experiment_tag", "create_run", "log_batch", "log_inputs", "log_artifact", "log_artifacts",
    "log_text", "set_terminated", "create_registered_model", "update_registered_model", "create_model_version",
    "set_model_version_tag", "set_registered_model_alias", "delete_registered_model_alias",
)  # fmt: skip
"""What MLflow's client writes with. What comes before the next of them comes after the one before."""


@dataclass(frozen=True)
class Moments:
    """Called in the process of a command, it counts the command's writes, and ends the process before one of them.

    Attributes:
        home: The state folder: renames elsewhere are not ours.
        told: A file that gets a line for each write.
        at: Before which write to die; None: the command goes on to its end, and then there is one more moment.
    """

    home: Path
    told: Path
    at: int | None = None

    def __call__(self) -> None:
        import deltalake
        from mlflow import MlflowClient

        from tasks.validation import run

        run.docs = lambda context, folder, results: folder / "index.html"  # Data Docs: the half of so small a run
        lock, count = threading.Lock(), iter(range(10**6))

        def met(what: str) -> None:
            with lock:
                with self.told.open("a") as out:
                    out.write(f"{what}\n")
                if next(count) == self.at:
                    die()

        def met_before(owner: Any, name: str, tell: Callable[..., str | None]) -> None:
            real = getattr(owner, name)

            def call(*given: Any, **named: Any) -> Any:
                if (what := tell(*given, **named)) is not None:
                    met(what)
                return real(*given, **named)

            setattr(owner, name, call)

        def renamed(_: Any, target: Any, **__: Any) -> str | None:
            inside = Path(os.fspath(target)).is_relative_to(self.home)
            return f"rename {Path(target).relative_to(self.home)}" if inside else None

        for name in WRITES:
            met_before(MlflowClient, name, lambda *_, name=name, **__: f"mlflow {name}")
        for name in ("replace", "rename"):
            met_before(os, name, renamed)
        met_before(deltalake, "write_deltalake", lambda path, *_, **__: f"commit {Path(path).name}")


def moments(told: Path) -> list[str]:
    """The writes that were told."""
    return told.read_text().splitlines() if told.exists() else []
