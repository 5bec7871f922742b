"""What a command shows while it works: one line that moves, and a line for each stage that ended.

It tells what Prefect knows of its task runs: the verb, when a run began and ended, and what came out.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.live import Live
from rich.text import Text

from flows.counts import counted
from tasks.execution.shown import SHOWS

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

WORDS = 52
"""Columns of what came out, before the seconds, where there is room."""


@dataclass
class Stage:
    """A verb at work: one run, or several that overlap or follow one another.

    Attributes:
        verb: Its name.
        begun: When the first run began, in seconds since 1970.
        ended: When the last of those that ended did.
        names: Names of all runs by their ids.
        working: Those that have not ended.
        results: What came of those that ended.
    """

    verb: str
    begun: float
    ended: float = 0.0
    names: dict[Any, str] = field(default_factory=dict)
    working: set[Any] = field(default_factory=set)
    results: list[Any] = field(default_factory=list)

    def words(self) -> str:
        """What came out; of a single run after what it worked on."""
        told = counted(self.results)
        (one, *others) = self.names.values()
        on = "" if others else one.removeprefix(self.verb).strip()
        return ": ".join(filter(None, (on, told)))


class _Still(Console):
    """Leaves the cursor where people see it: who is killed brings nothing back."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class Stages:
    """The stages of a command, on standard error: a terminal sees one line move, a pipe or a file only what ended.

    No line moves between the logs that `--debug` shows.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open: dict[str, Stage] = {}
        self._shown = self._metered = ""
        terminal = sys.stderr.isatty() and os.environ.get("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL") == "CRITICAL"
        self._console = _Still(stderr=True, force_terminal=terminal, highlight=False)
        self._live = Live(
            get_renderable=self._moving,
            console=self._console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._moves = terminal

    def __enter__(self) -> "Stages":
        if self._moves:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._lock:
            for stage in self._open.values():
                self._tell(stage, "failed" if kind is None or issubclass(kind, Exception) else "stopped")
            self._open.clear()
        self._live.stop()

    @contextmanager
    def at(self, verb: str) -> Iterator[list[Any]]:
        """A stage that is no task run; what came out goes into the list."""
        stage = self._begin(verb, verb, verb, time.time())
        yield stage.results
        self._end(verb, verb, time.time())

    @contextmanager
    def of_flow(self) -> Iterator[None]:
        """Every task run of the block is part of a stage; its meters are shown in place of the moving line."""
        verbs, token = _verbs(), SHOWS.set(self._meter)
        for verb in verbs:
            verb.on_running(self._started)
            verb.on_completion(self._completed)
        try:
            yield
        finally:
            SHOWS.reset(token)
            for verb in verbs:
                verb.on_running_hooks.remove(self._started)
                verb.on_completion_hooks.remove(self._completed)

    def _started(self, task: "Task[..., Any]", run: "TaskRun", state: "State") -> None:
        self._begin(task.name, run.name if task.task_run_name else task.name, run.id, state.timestamp.timestamp())

    def _completed(self, task: "Task[..., Any]", run: "TaskRun", state: "State") -> None:
        self._end(task.name, run.id, state.timestamp.timestamp(), state.result())

    def _begin(self, verb: str, name: str, run: Any, now: float) -> Stage:
        """A run has begun: other verbs that are not at work have ended."""
        with self._lock:
            for other in [one for one in self._open.values() if one.verb != verb and not one.working]:
                self._tell(self._open.pop(other.verb))
            stage = self._open.setdefault(verb, Stage(verb, now))
            stage.names[run] = name
            stage.working.add(run)
            return stage

    def _end(self, verb: str, run: Any, now: float, *result: Any) -> None:
        with self._lock:
            stage = self._open[verb]
            stage.working.discard(run)
            stage.results.extend(result)
            stage.ended = now

    def _tell(self, stage: Stage, unfinished: str = "failed") -> None:
        """The line of a stage that is over."""
        words, ended = (unfinished, time.time()) if stage.working else (stage.words(), stage.ended)
        line = _fitted(stage.verb, words, ended - stage.begun, self._console.width if self._moves else None)
        self._console.print(Text(line), soft_wrap=True)

    def _meter(self, line: str) -> None:
        self._metered = line

    def _moving(self) -> Text:
        """What is at work, and for how long.

        Without the lock: who draws holds Rich's, which who tells waits for.
        """
        stages = list(self._open.values())
        working = [(stage, name) for stage in stages for run, name in list(stage.names.items()) if run in stage.working]
        if working:
            stage, name = working[0]
            others = f" and {len(working) - 1} more" if working[1:] else ""
            self._shown = f"{name}{others}  {time.time() - stage.begun:,.0f} s"
        return Text(self._metered or self._shown, no_wrap=True, overflow="crop")


def _verbs() -> "list[Task[..., Any]]":
    """The tasks of flows and verbs that were imported, each once."""
    from prefect import Task

    ours = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in ("flows", "tasks")]
    found = {id(one): one for module in ours for one in vars(module).values() if isinstance(one, Task)}
    return list(found.values())


def _fitted(verb: str, words: str, seconds: float, width: int | None) -> str:
    """A line of a stage; where a width is given, what came out is cut to it, and how long it took is not."""
    begin, end = f"{verb:<10} ", f"{max(seconds, 0):9,.1f} s"
    if width is None:
        return f"{begin}{words:<{WORDS}}{end}"
    room = max(width - len(begin + end), 0)
    return set_cell_size(f"{begin}{set_cell_size(words, min(max(cell_len(words), WORDS), room))}{end}", width)
