"""How far long work is: one moving line on the terminal, and whoever else wants to hear it."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

Progress = Callable[[int, int], None]
"""Hears (done, of)."""


def part(progress: Progress | None, number: int, parts: int) -> Progress | None:
    """Progress of one of several equal parts of the work, told as progress of the whole."""
    if progress is None:
        return None

    def told(done: int, of: int) -> None:
        progress(number * of + done, parts * of)

    return told


class Meter:
    """Tells progress in percent, at most so often, and the end always.

    Args:
        what: What is being done.
        publish: Hears the percentage too.
        every: Seconds between two tellings, at least.
        stream: Where the line goes; a terminal sees one line move, a file a line now and then.
    """

    def __init__(
        self, what: str, publish: Callable[[float], object], every: float = 1.0, stream: TextIO | None = None
    ) -> None:
        self._what, self._publish, self._every = what, publish, every
        self._stream = stream or sys.stderr
        self._last = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        """Tells that `done` of `of` is done."""
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        percent = 100.0 * done / max(of, 1)
        self._publish(percent)
        self._show(f"{self._what}: {percent:.0f} %")

    def close(self) -> None:
        """Tells that all is done."""
        self._publish(100.0)
        self._show(f"{self._what}: done", end="\n")

    def _show(self, line: str, end: str = "") -> None:
        text = f"\r\x1b[2K{line}{end}" if self._stream.isatty() else f"{line}\n"
        self._stream.write(text)
        self._stream.flush()
