"""The moving line: percent, speed and time left, not more often than asked for."""

import pytest

from tasks import _progress as progress
from tasks._progress import Meter
from tasks.execution.scheduler import part
from tasks.execution.shown import SHOWS


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def shown():
    """What a command that watches would show."""
    lines = []
    token = SHOWS.set(lines.append)
    yield lines
    SHOWS.reset(token)


def test_it_tells_speed_and_time_left_since_the_first_batch(clock, shown):
    heard = []
    meter = Meter("encode", lambda percent, line: heard.append((percent, line)), "texts")
    for second, done in ((30, 100), (30.5, 300), (32, 1100)):
        clock[0] = second
        meter(done, 10_100)
    meter.close()
    assert [line for _, line in heard] == ["encode: 1 %", "encode: 11 %, 500 texts/s, 0:18 left", "encode: done"]
    assert heard[-1][0] == 100.0
    assert shown == ["encode: 1 %", "encode: 11 %, 500 texts/s, 0:18 left", ""], "the moving line comes back at the end"


def test_nobody_who_does_not_watch_is_shown_anything(clock, capsys):
    meter = Meter("encode", lambda *_: None)
    clock[0] = 5
    meter(1, 4)
    meter.close()
    assert capsys.readouterr() == ("", "")


def test_an_artifact_is_made_with_the_first_progress_and_only_then(clock, monkeypatch):
    heard = []
    monkeypatch.setattr(progress, "create_progress_artifact", lambda *said: heard.append(("made", *said)) or "id")
    monkeypatch.setattr(progress, "update_progress_artifact", lambda *said: heard.append(said))
    with progress.metered("encode", "encode"):
        pass
    assert heard == []
    with progress.metered(None, "pool") as meter:
        clock[0] += 5
        meter(1, 4)
    assert heard == []
    with progress.metered("encode", "encode") as meter:
        for done in (1, 2):
            clock[0] += 5
            meter(done, 4)
    assert [said[0] for said in heard] == ["made", "id", "id"]
    assert heard[-1] == ("id", 100.0, "encode: done")


def test_parts_are_told_as_one_whole(clock):
    heard = []
    second = part(lambda done, of: heard.append((done, of)), 1, 2)
    second(3, 10)
    assert heard == [(13, 20)]
