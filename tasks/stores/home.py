"""The state folder: everything that is made lives under it."""

import os
from pathlib import Path

VARIABLE = "FENQUN_HOME"
DEFAULT = "var"
"""In the working directory; the Makefile sets the variable to the checkout's."""
RULE = f"{VARIABLE}, or {DEFAULT} in the working directory where it is not set"


def home() -> str:
    """FENQUN_HOME, or `var` in the working directory; absolute, and not made here."""
    return str(Path(os.environ.get(VARIABLE) or DEFAULT).expanduser().resolve())


def made() -> str:
    """The state folder, made where it is missing; it, and all that this process writes from now on, is its owner's."""
    os.umask(0o077)
    place = Path(home())
    place.mkdir(parents=True, exist_ok=True)
    return str(place)
