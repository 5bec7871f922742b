"""The two ways a run can go wrong that a user can mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class FenqunError(Exception):
    """Something failed that the user can mend. The message is one line: what, where (file, column) and the fix."""

    exit_code = 1


class UsageError(FenqunError):
    """The command or its config is wrong: nothing was run."""

    exit_code = 2


class DataError(FenqunError):
    """The data cannot be used as it is: which file, which column, what to do."""


class Refused(FenqunError):
    """What was asked for was looked into and not done.

    Args:
        message: Why, and what to do.
        told: What was found; it is told before the message.
    """

    def __init__(self, message: str, told: object) -> None:
        super().__init__(message)
        self.told = told


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a misspelt one may mean, compared by letters and digits alone; None where none is near."""
    plain = {_plain(own): own for own in known}
    near = get_close_matches(_plain(word[:80]), plain, n=1)
    return plain[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """The end of a message about an unknown word: the nearest known one, or else what could be given."""
    near = closest(word, known)
    return f"did you mean {near}?" if near else otherwise


def listed(word: str, known: Iterable[str], most: int = 20) -> str:
    """The end of a message about an unknown word of the data: what is there, and the nearest of it."""
    there = sorted(known)
    more = f" and {len(there) - most} more" if len(there) > most else ""
    near = closest(word, there)
    return f"there are {', '.join(there[:most])}{more}{f'; did you mean {near}?' if near else ''}"


def _plain(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())
