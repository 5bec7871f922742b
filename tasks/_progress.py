"""A meter whose line who watches sees in the terminal and, as a progress artifact, on the run's page in Prefect."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from tasks.execution.shown import SHOWS

DONE = 100.0


class Meter:
    """Tells progress in percent with the time left, at most so often, and the end always.

    Args:
        what: What is being done.
        publish: Hears the percentage and the line too.
        unit: What is counted, such as texts: then the line tells how many a second.
        every: Seconds between two tellings, at least.
    """

    def __init__(self, what: str, publish: Callable[[float, str], object], unit: str = "", every: float = 1.0) -> None:
        self._what, self._publish, self._unit, self._every = what, publish, unit, every
        self._show = SHOWS.get()
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
        self._publish(DONE, f"{self._what}: done")
        self._show("")

    def _pace(self, done: int, of: int, now: float) -> str:
        """Speed and time left since the first telling: what came before it was loading."""
        begun, base = self._first or (now, done)
        if now <= begun or done <= base:
            return ""
        rate = (done - base) / (now - begun)
        minutes, seconds = divmod(round((of - done) / rate), 60)
        return f"{f', {rate:,.0f} {self._unit}/s' if self._unit else ''}, {minutes}:{seconds:02d} left"


@contextmanager
def metered(key: str | None, what: str, unit: str = "") -> Iterator[Meter]:
    """Opens a meter under the key of an artifact (lower case letters, digits, dashes).

    The artifact is made with the first telling of progress: what takes no time, or no key, has none.
    """
    shown: list[UUID] = []

    def publish(percent: float, line: str) -> None:
        if shown:
            update_progress_artifact(shown[0], percent, line)
        elif key and percent < DONE:
            shown.append(cast(UUID, create_progress_artifact(percent, key, line)))

    with closing(Meter(what, publish, unit)) as meter:
        yield meter
