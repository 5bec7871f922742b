"""The command line, looked at without running anything."""

from functools import cache
from typing import Any

from typer.exceptions import Exit, TyperException

from flows.__main__ import program


@cache
def commands() -> dict[tuple[str, ...], Any]:
    """Every command by its words, the program itself by none."""

    def below(one: Any, words: tuple[str, ...]) -> dict[tuple[str, ...], Any]:
        found = {words: one}
        for name, inner in getattr(one, "commands", {}).items():
            found |= below(inner, (*words, name))
        return found

    return below(program(), ())


def options(*words: str) -> set[str]:
    """The options of a command."""
    command = commands()[words]
    return {option for one in command.params for option in (*one.opts, *one.secondary_opts) if option.startswith("-")}


def parse(words: list[str]) -> dict[str, Any]:
    """What a command line gives its command; raises what Typer raises where it is wrong.

    The options of the program itself are only looked up: to parse `--install-completion` is to install it.
    """
    path = max((path for path in commands() if list(path) == words[: len(path)]), key=len)
    rest = words[len(path) :]
    if hasattr(commands()[path], "commands"):
        assert set(rest) <= {*options(*path), "--help", "-h"}, f"no such {words}"
        return {}
    return commands()[path].make_context(" ".join(("fenqun", *path)), rest).params


def wrong(words: list[str]) -> str:
    """What Typer says of a command line; nothing where it is right, or asks for help."""
    try:
        parse(words)
    except Exit:
        return ""
    except TyperException as error:
        return error.format_message()
    return ""
