"""The command line: `fenqun` or `python -m flows`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import FenqunError
from tasks.stores.home import VARIABLE, home

OFF = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Nothing phones home."""


def environment() -> None:
    """Settings that must stand before the libraries are imported; what the user has set stays as it is."""
    os.environ[VARIABLE] = home()
    quiet = {"PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore", "TOKENIZERS_PARALLELISM": "false"}
    quiet["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "180"
    prefect = {"PREFECT_HOME": str(Path(home()) / "prefect")}
    for name, value in {**OFF, **quiet, **prefect}.items():
        os.environ.setdefault(name, value)


def parser() -> argparse.ArgumentParser:
    """All commands."""
    main_parser = argparse.ArgumentParser(prog="fenqun", description="Finds the groups among a recommender's users.")
    main_parser.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    retrain = commands.add_parser("retrain", help="retrain a segmentation and promote it if it is better")
    check = commands.add_parser("check", help="validate a config and its source before anything runs")
    for command in (retrain, check):
        command.add_argument("--config", required=True, help="YAML file of the segmentation")
        command.add_argument(
            "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="overrides", help="override a value"
        )
    ui = commands.add_parser("ui", help="Prefect, MLflow and the deployments on loopback")
    ui.add_argument("--prefect-port", type=int, default=4200)
    ui.add_argument("--mlflow-port", type=int, default=5000)
    return main_parser


def run(arguments: argparse.Namespace) -> None:
    """Runs one command; libraries are imported here, after the environment stands."""
    from flows import commands

    if arguments.command == "retrain":
        commands.retrain(arguments.config, arguments.overrides)
    elif arguments.command == "check":
        commands.check(arguments.config, arguments.overrides)
    elif arguments.command == "ui":
        commands.ui(arguments.prefect_port, arguments.mlflow_port)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code: 0, 1 (failure) or 2 (usage)."""
    arguments = parser().parse_args(argv)
    environment()
    try:
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
