"""What a flow run is called: as whoever started it called it, else after what it works on."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from coolname.data import config
from prefect.runtime import flow_run


def called(pattern: str) -> Callable[[], str]:
    """The name of a run, for `flow_run_name`: Prefect would put a plain pattern in the place of a person's own name.

    Args:
        pattern: The name of a run that nobody named, with the flow's parameters in braces.
    """

    def name() -> str:
        given: str = flow_run.name or ""
        return given if given and not drawn(given) else pattern.format(**flow_run.parameters)

    return name


def drawn(name: str) -> bool:
    """Whether all words of a name, such as amber-otter, are of those that Prefect draws names from."""
    return {*name.split("-")} <= _words()


@cache
def _words() -> frozenset[str]:
    return frozenset(word for one in config.values() for word in _of(one))


def _of(one: Any) -> Iterator[str]:
    """The words of a list, and those of its phrases."""
    yield from one.get("words", ())
    for phrase in one.get("phrases", ()):
        yield from phrase.split() if isinstance(phrase, str) else phrase
