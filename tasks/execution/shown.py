"""Where progress inside a stage is shown: nowhere, unless a command watches."""

from collections.abc import Callable
from contextvars import ContextVar

SHOWS: ContextVar[Callable[[str], object]] = ContextVar("shows", default=lambda line: None)
"""Shows a meter's line to a person, and takes it away where it is empty."""
