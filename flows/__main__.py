"""The command line: `fenqun` or `python -m flows`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from flows.app import add_commands
from schemas.errors import FenqunError
from schemas.secrets import redact
from tasks.stores.explained import explained
from tasks.stores.home import VARIABLE, home

OFF = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Nothing phones home."""


def environment(debug: bool = False) -> None:
    """Settings that must stand before the libraries are imported; what the user has set stays as it is.

    Prefect logs every failure with its traceback: to the run in its UI always, to the terminal only for `--debug`. The
    libraries' progress bars and advice too are for `--debug`.
    """
    os.environ[VARIABLE] = home()
    quiet = {"PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore", "TOKENIZERS_PARALLELISM": "false"}
    quiet["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "180"
    prefect = {"PREFECT_HOME": str(Path(home()) / "prefect")}
    if not debug:
        prefect["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
        prefect |= {"MLFLOW_LOGGING_LEVEL": "ERROR", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
        prefect["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    for name, value in {**OFF, **quiet, **prefect}.items():
        os.environ.setdefault(name, value)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # a tenth of a second that no other command waits for

        typer.echo(f"fenqun {version('fenqun')}")
        raise typer.Exit


def root(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Finds the groups among a recommender's users, and keeps them fresh.

    Everything that is made lies under FENQUN_HOME or, where it is not set, under var in the working directory.
    """
    context.obj.debug = debug
    environment(debug)


def program() -> Any:
    """The whole command line."""
    app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
    app.callback()(root)
    add_commands(app)
    return typer.main.get_command(app)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code: 0, 1 (failure), 2 (usage) or 130 (Ctrl-C)."""
    asked = SimpleNamespace(debug=False)
    try:
        return program().main(argv, prog_name="fenqun", standalone_mode=False, obj=asked) or 0
    except Exception as error:
        if asked.debug and not isinstance(error, TyperException):
            raise
        known = explained(error, home()) or error
        typer.echo(f"fenqun: {_told(known)}", err=True)
        return getattr(known, "exit_code", 1)


def _told(error: Exception) -> str:
    """What the user reads of an error."""
    if isinstance(error, FenqunError):
        return str(error)
    if isinstance(error, TyperException):
        context = getattr(error, "ctx", None)
        return error.format_message().rstrip(".") + (f" (see `{context.command_path} --help`)" if context else "")
    first = redact(str(error).split("\n", 1)[0])
    return f"{type(error).__name__}: {first} (run `fenqun --debug ...` for the traceback)"


if __name__ == "__main__":
    sys.exit(main())
