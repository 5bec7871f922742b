"""The state folder: everything that is made lives under it."""

import os
from pathlib import Path

VARIABLE = "FENQUN_HOME"


def home() -> str:
    """FENQUN_HOME, or `var` in the working directory; absolute, and not made here."""
    return str(Path(os.environ.get(VARIABLE) or "var").expanduser().resolve())
