"""Python and the installed packages, against the bounds that this installation declares."""

import platform
import sys
from collections import defaultdict
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from schemas.health import Finding

OURS = "fenqun"
INSTALL = "make install"
BAD = {
    "fastapi": (SpecifierSet(">=0.151"), "Prefect's server ends on import"),
    "sqlalchemy": (SpecifierSet(">=2.1"), "Prefect's cron schedules never fire"),
}
"""Versions that install beside the others without a complaint, and break them."""


def packages() -> list[Finding]:
    """Python, every required package that is missing or out of bounds, known bad pairs, and the extras."""
    try:
        ours = metadata.metadata(OURS)
    except metadata.PackageNotFoundError:
        return [Finding("installation", "wrong", f"{OURS} is not installed in {sys.prefix}", INSTALL)]
    wanted = [Requirement(line) for line in metadata.requires(OURS) or ()]
    return [_python(ours["Requires-Python"]), *_required(wanted), *_bad_pairs(), *_extras(wanted)]


def _python(bounds: str) -> Finding:
    """This Python against what is supported."""
    fits = platform.python_version() in SpecifierSet(bounds)
    found = f"{platform.python_version()} (supported: {bounds})"
    return Finding("Python", "fine" if fits else "wrong", found, "" if fits else "make PYTHON=/path/to/python install")


def _version(name: str) -> str | None:
    """The installed version; None where the package is missing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _required(wanted: list[Requirement]) -> list[Finding]:
    """A finding for each package that does not fit, or one that says all do."""
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    misfits = [one for one in needed if (version := _version(one.name)) is None or version not in one.specifier]
    found = [
        Finding(f"package {one.name}", "wrong", f"{_version(one.name) or 'missing'}, needs {one.specifier}", INSTALL)
        for one in misfits
    ]
    return found or [Finding("packages", "fine", f"all {len(needed)} required ones are within their bounds")]


def _bad_pairs() -> list[Finding]:
    """Versions that are known to break others, whatever the bounds say."""
    return [
        Finding(f"package {name}", "wrong", f"{version}: {why}", f"pip install '{name}{_below(bad)}', or {INSTALL}")
        for name, (bad, why) in BAD.items()
        if (version := _version(name)) is not None and version in bad
    ]


def _below(bad: SpecifierSet) -> str:
    return str(bad).replace(">=", "<")


def _extras(wanted: list[Requirement]) -> list[Finding]:
    """Which extras are here; one that is there in part is told, since it was asked for."""
    found = []
    for extra, needs in _by_extra(wanted).items():
        there = [one.name for one in needs if _version(one.name) is not None]
        lacking = sorted({one.name for one in needs} - {*there})
        if lacking and there:
            found.append(
                Finding(f"extra {extra}", "note", f"lacks {', '.join(lacking)}", f"pip install -e '.[{extra}]'")
            )
        else:
            found.append(Finding(f"extra {extra}", "fine", "not installed" if lacking else "installed"))
    return found


def _by_extra(wanted: list[Requirement]) -> dict[str, list[Requirement]]:
    """Extra -> what it brings."""
    names = metadata.metadata(OURS).get_all("Provides-Extra") or []
    by_extra: dict[str, list[Requirement]] = defaultdict(list)
    for extra in names:
        for one in wanted:
            if one.marker and one.marker.evaluate({"extra": extra}) and not one.marker.evaluate({"extra": ""}):
                by_extra[extra].append(one)
    return by_extra
