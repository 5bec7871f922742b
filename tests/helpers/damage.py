"""Damage as a disk or a careless hand does it, and what is said of it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.errors import FenqunError


def flip(path: Path, at: int) -> None:
    """Changes one byte; the clock of the file moves on, as it does where somebody writes to it."""
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1 + at % 255
    path.write_bytes(bytes(content))
    later = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))


def said(ask: Callable[[], Any]) -> Any:
    """What came out, or the words of the error that was told instead."""
    try:
        return ask()
    except FenqunError as error:
        return str(error)
