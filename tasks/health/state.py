"""The state folder: can it be used, and is everything whole that its pointers name?"""

import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from schemas.errors import FenqunError
from schemas.health import Finding, State
from tasks.health.machine import existing
from tasks.stores.home import RULE

if TYPE_CHECKING:
    from tasks.stores.pointer import Live, Pointer


def state(home: str) -> list[Finding]:
    """The folder itself and, where it can be read, every segmentation in it."""
    folder = _folder(home)
    return folder if any(one.state == "wrong" for one in folder) else [*folder, *_segmentations(home)]


def _folder(home: str) -> list[Finding]:
    """Whether it is there, or can be made, and who may look into it."""
    place, there = Path(home), existing(home)
    try:
        TemporaryFile(dir=there).close()
    except OSError as error:
        remedy = "set FENQUN_HOME to a folder that can be written to"
        return [Finding("state folder", "wrong", f"{place}: {there}: {error.strerror}", remedy)]
    if there != place:
        return [Finding("state folder", "fine", f"{place} ({RULE}) is not there yet: the first run makes it")]
    return [Finding("state folder", "fine", f"{place} ({RULE})"), _privacy(place)]


def _privacy(place: Path) -> Finding:
    """Who else on this machine may read or change it."""
    mode = stat.S_IMODE(place.stat().st_mode)
    name, remedy = "state folder's permissions", f"chmod 700 {place}"
    if mode & (stat.S_IWOTH | stat.S_IWGRP):
        return Finding(name, "wrong", f"{mode:o}: others may change models, and what is live", remedy)
    if mode & (stat.S_IROTH | stat.S_IRGRP):
        return Finding(name, "note", f"{mode:o}: others may read users' data", remedy)
    return Finding(name, "fine", f"{mode:o}")


def _segmentations(home: str) -> list[Finding]:
    """What is live, by segmentation."""
    folder = Path(home) / "segmentations"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [_segmentation(home, name) for name in names] or [Finding("segmentations", "fine", "none yet")]


def _named(found: "Pointer") -> "Iterator[tuple[Live | None, State, str]]":
    """The two models that a pointer names: how bad it is where one is not whole, and what to do."""
    yield found.live, "wrong", "restore it from a backup, or promote or roll back to another version"
    yield found.previous, "note", "restore it from a backup; until then there is no rollback"


def _segmentation(home: str, name: str) -> Finding:
    """One segmentation: its pointer, and the models and tables that it names."""
    from tasks.registry.promotion import whole
    from tasks.stores import pointer

    title = f"segmentation {name}"
    try:
        found = pointer.read(home, name)
    except FenqunError as error:
        return Finding(title, "wrong", str(error), f"fenqun promote --segmentation {name} --version N, after that")
    if found.live is None:
        return Finding(title, "fine", "nothing is live yet")
    for live, state_, remedy in _named(found):
        try:
            whole(home, name, live)
        except FenqunError as error:
            return Finding(title, state_, str(error), remedy)
    told = f"version {found.live.model_version} is live, as of {found.live.as_of:%Y-%m-%d %H:%M} UTC"
    return Finding(title, "fine", f"{told}, {found.live.users} users; model and tables are whole")
