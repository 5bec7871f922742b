"""The command line: `fenqun` or `python -m flows`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from schemas.errors import FenqunError, UsageError
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


def parser() -> argparse.ArgumentParser:
    """All commands."""
    main_parser = argparse.ArgumentParser(prog="fenqun", description="Finds the groups among a recommender's users.")
    main_parser.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    retrain = commands.add_parser("retrain", help="retrain a segmentation and promote it if it is better")
    check = commands.add_parser("check", help="validate a config and its source before anything runs")
    assign = commands.add_parser("assign", help="assign users with the live model and publish")
    assign.add_argument("--only-touched", action="store_true", help="only users with something new since the last time")
    for command in (retrain, check, assign):
        command.add_argument("--config", required=True, help="YAML file of the segmentation")
        command.add_argument(
            "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="overrides", help="override a value"
        )
    ui = commands.add_parser("ui", help="Prefect, MLflow and the deployments on loopback")
    ui.add_argument("--prefect-port", type=_port, default=4200, help="4200 where not given")
    ui.add_argument("--mlflow-port", type=_port, default=5000, help="5000 where not given")
    _decisions(commands)
    return main_parser


def _port(text: str) -> int:
    """A port's number, for argparse."""
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text} is no port; give a number from 1 to 65535")
    return int(text)


def check_home(command: str) -> None:
    """Refuses a state folder that cannot be what it is for, before anything is made in it.

    Raises:
        UsageError: it, or the folder it would be made in, is no folder, or cannot be written to.
    """
    place = Path(home())
    try:
        there = next(one for one in (place, *place.parents) if one.exists())
        if command in ("check", "user", "segments"):
            next(there.iterdir(), None)
        else:
            TemporaryFile(dir=there).close()
    except OSError as error:
        raise UsageError(f"{VARIABLE}={place}: {error.strerror}; name a folder that can be written to") from error


def _decisions(commands: Any) -> None:
    """Commands about what is live, and about what is published."""
    promote = commands.add_parser("promote", help="judge a registered version on today's data; live if it passes")
    promote.add_argument("--version", required=True, help="number of the model version")
    rollback = commands.add_parser("rollback", help="bring the previous champion back, with its tables")
    user = commands.add_parser("user", help="a user's segment, reasons and history")
    user.add_argument("user", help="the recommender's own id of the user")
    segments = commands.add_parser("segments", help="what is published about segments").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    export = segments.add_parser("export", help="write a segment's members as CSV or Parquet")
    export.add_argument("--segment", help="id of the segment, or `unassigned`; all users where it is not given")
    export.add_argument("--output", required=True, help="a file that ends in .csv or .parquet")
    for command in (promote, rollback, user, export):
        command.add_argument("--segmentation", required=True, help="name of the segmentation")
    for command in (promote, rollback):
        needed = command is rollback
        more = "recorded" if needed else "recorded; with both it is made live although gates refuse"
        command.add_argument("--author", required=needed, default="", help=f"who decides; {more}")
        command.add_argument("--reason", required=needed, default="", help=f"why; {more}")
        command.add_argument("--tracking-uri", help="MLflow server; SQLite under the state folder where not given")


def run(arguments: argparse.Namespace) -> None:
    """Runs one command; libraries are imported here, after the environment stands."""
    from flows import commands, decisions

    if arguments.command == "retrain":
        commands.retrain(arguments.config, arguments.overrides)
    elif arguments.command == "assign":
        commands.assign(arguments.config, arguments.overrides, arguments.only_touched)
    elif arguments.command == "promote":
        told = (arguments.segmentation, arguments.version, arguments.author, arguments.reason)
        decisions.promote(*told, arguments.tracking_uri)
    elif arguments.command == "rollback":
        decisions.rollback(arguments.segmentation, arguments.author, arguments.reason, arguments.tracking_uri)
    elif arguments.command == "user":
        decisions.user(arguments.segmentation, arguments.user)
    elif arguments.command == "segments":
        decisions.export(arguments.segmentation, arguments.segment, arguments.output)
    elif arguments.command == "check":
        commands.check(arguments.config, arguments.overrides)
    elif arguments.command == "ui":
        commands.ui(arguments.prefect_port, arguments.mlflow_port)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code: 0, 1 (failure) or 2 (usage)."""
    arguments = parser().parse_args(argv)
    environment(arguments.debug)
    try:
        check_home(arguments.command)
        run(arguments)
    except FenqunError as error:
        if arguments.debug:
            raise
        print(f"fenqun: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if arguments.debug:
            raise
        print(f"fenqun: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} "
              "(run `fenqun --debug ...` for the traceback)", file=sys.stderr)  # fmt: skip
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
