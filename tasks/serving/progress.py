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
    """Tells progress in percent with the time left, at most so often, and the end always.

    Args:
        what: What is being done.
        publish: Hears the percentage and the line too.
        unit: What is counted, such as texts: then the line tells how many a second.
        every: Seconds between two tellings, at least.
        stream: Where the line goes; a terminal sees one line move, a file a line now and then.
    """

    def __init__(
        self, what: str, publish: Callable[[float, str], object], unit: str = "", every: float = 1.0,
        stream: TextIO | None = None,
    ) -> None:  # fmt: skip
        self._what, self._publish, self._unit, self._every = what, publish, unit, every
        self._stream = stream or sys.stderr
        self._last = time.monotonic()
        self._first: tuple[float, int] | None = None

    def __call__(self, done: int, of: int) -> None:
        """Tells that `done` of `of` is done."""
        now = time.monotonic()
        self._first = self._first or (now, done)
        if now - self._last < self._every:
            return
        self._last = now
        percent = 100.0 * done / max(of, 1)
        line = f"{self._what}: {percent:.0f} %{self._pace(done, of, now)}"
        self._publish(percent, line)
        self._show(line)

    def close(self) -> None:
        """Tells that all is done."""
        line = f"{self._what}: done"
        self._publish(100.0, line)
        self._show(line, end="\n")

    def _pace(self, done: int, of: int, now: float) -> str:
        """Speed and time left since the first telling: what came before it was loading."""
        begun, base = self._first or (now, done)
        if now <= begun or done <= base:
            return ""
        rate = (done - base) / (now - begun)
        minutes, seconds = divmod(round((of - done) / rate), 60)
        return f"{f', {rate:,.0f} {self._unit}/s' if self._unit else ''}, {minutes}:{seconds:02d} left"

    def _show(self, line: str, end: str = "") -> None:
        text = f"\r\x1b[2K{line}{end}" if self._stream.isatty() else f"{line}\n"
        self._stream.write(text)
        self._stream.flush()
