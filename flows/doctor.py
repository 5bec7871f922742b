"""What `fenqun doctor` looks at, and how it tells it.

It is for where something is missing or broken: each look imports what it needs, and may fail alone.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from schemas.errors import FenqunError
from schemas.health import Finding


def diagnose(home: str) -> list[Finding]:
    """Looks at the installation, the machine, the state folder and the servers; changes nothing.

    Args:
        home: The state folder.
    """
    looks = {"packages": _packages, "machine": _machine, "state folder": _state, "servers": _servers}
    return [finding for name, look in looks.items() for finding in _looked(name, look, home)]


def _looked(name: str, look: Callable[[str], list[Finding]], home: str) -> list[Finding]:
    """One look; whatever ends it is itself a finding, so that the others are told all the same."""
    try:
        return look(home)
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        return [
            Finding(name, "wrong", f"could not be looked at ({told})", "make install; then see fenqun --debug doctor")
        ]


def _packages(home: str) -> list[Finding]:
    from tasks.health.packages import packages

    return packages()


def _machine(home: str) -> list[Finding]:
    from tasks.health.machine import machine

    return machine(home)


def _state(home: str) -> list[Finding]:
    from tasks.health.state import state

    return state(home)


def _servers(home: str) -> list[Finding]:
    from flows.running import configured
    from tasks.health.servers import servers, variables

    api, _ = configured()
    return [*servers(home, api), *variables(home, api)]


def repaired(home: str) -> Iterator[str]:
    """Brings back what is lost or damaged of every segmentation; a line for each thing that was wrong or done.

    Args:
        home: The state folder.
    """
    from tasks.health.repair import repair

    for folder in sorted(Path(home).glob("segmentations/*/")):
        try:
            yield from repair(home, folder.name) or [f"{folder.name}: nothing to repair"]
        except FenqunError as error:
            yield str(error)


def lines(findings: Sequence[Finding], as_json: bool = False) -> str:
    """The findings, a line each and the remedy below it, or as JSON."""
    if as_json:
        return json.dumps([asdict(one) for one in findings], indent=1, ensure_ascii=False)
    told = [
        f"{one.state:<6} {one.name}: {one.found}" + f"\n       -> {one.remedy}" * bool(one.remedy) for one in findings
    ]
    return "\n".join(told)


def doctor(home: str, as_json: bool = False) -> None:
    """Prints what was found.

    Raises:
        FenqunError: something is wrong.
    """
    findings = diagnose(home)
    print(lines(findings, as_json))
    if wrong := [one.name for one in findings if one.state == "wrong"]:
        raise FenqunError(f"{len(wrong)} wrong: {', '.join(wrong)}")
