"""The commands of the command line: the flows that are found, and those of flows/commands.py."""

import functools
import inspect
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any

import typer

from flows import commands
from flows.found import flows
from flows.options import command
from schemas.errors import FenqunError, Refused, UsageError
from tasks.stores.home import VARIABLE, home

FLOWS, LOOK, SERVE = "Flows", "Look", "Serve"
Json = Annotated[bool, typer.Option("--json", help="Tell it as one JSON document.")]
JSON = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json)


def add_commands(app: typer.Typer) -> None:
    """All commands, in the groups that the help shows them in."""
    for flow in flows():
        _add(app, command(flow), FLOWS)
    for function in (commands.check, commands.user, commands.recommendations):
        _add(app, function, LOOK)
    segments = typer.Typer(help="Tells what is published about segments.")
    _add(segments, commands.segments_list, LOOK, "list")
    _add(segments, commands.segments_export, LOOK, "export")
    app.add_typer(segments, name="segments", rich_help_panel=LOOK)
    # It tells what is wrong with the state folder beside everything else, and needs no other part of us.
    app.command("doctor", rich_help_panel=LOOK)(commands.doctor)
    _add(app, commands.ui, SERVE)
    _add(app, commands.serve, SERVE)


def _add(app: typer.Typer, function: Callable[..., Any], panel: str, name: str | None = None) -> None:
    """A function as a command that tells what it returns; one that returns something has `--json`."""
    signature = inspect.signature(function)
    tells = signature.return_annotation is not None

    @functools.wraps(function)
    def told(as_json: bool = False, **given: Any) -> None:
        check_home(writes=panel != LOOK)
        _tell(functools.partial(function, **given), as_json)

    told.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), *([JSON] if tells else [])], return_annotation=None
    )
    told.__annotations__ = {}
    app.command(name or function.__name__, rich_help_panel=panel)(told)


def _tell(work: Callable[[], object], as_json: bool) -> None:
    """Does the work and tells what came out; with `--json` nothing else reaches standard output."""
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            found = work()
    except Refused as refused:
        _print(refused.told, as_json)
        raise
    except (BrokenPipeError, EOFError) as error:  # Typer takes these for a terminal that is gone, and says nothing
        raise FenqunError(f"{type(error).__name__}: {error}") from error
    _print(found, as_json)


def _print(found: object, as_json: bool) -> None:
    from flows.telling import tell  # late, as all that loads libraries

    tell(found, as_json)


def check_home(writes: bool) -> None:
    """Refuses a state folder that cannot be what it is for, before anything is made in it.

    Raises:
        UsageError: it, or the folder it would be made in, is no folder, or cannot be read or written to.
    """
    place = Path(home())
    try:
        there = next(one for one in (place, *place.parents) if one.exists())
        if writes:
            TemporaryFile(dir=there).close()
        else:
            next(there.iterdir(), None)
    except OSError as error:
        raise UsageError(f"{VARIABLE}={place}: {error.strerror}; name a folder that can be written to") from error
