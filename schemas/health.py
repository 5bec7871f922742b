"""What a look at the installation finds; plain dataclasses, so that it can be told where libraries are missing."""

from dataclasses import dataclass
from typing import Literal

State = Literal["fine", "note", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What, such as `package fastapi`.
        state: `fine`; `note`: it works, and there is something to know; `wrong`: something will not work.
        found: What is there.
        remedy: What to do; empty where it is fine.
    """

    name: str
    state: State
    found: str
    remedy: str = ""
