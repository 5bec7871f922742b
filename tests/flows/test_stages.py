"""What a person sees while a command works: one line that moves, and a line for each stage that ended."""

import io
import json
import os
import re
import subprocess
import sys
import time
from contextlib import redirect_stderr

import pytest
import yaml

from flows.stages import Stages
from schemas.runs import Decided
from tests.helpers.configs import QUICK, SMALL
from tests.helpers.terminals import ROOT, on_a_terminal, screen

ENDED = re.compile(r"^(\w+) +(.*?) +([\d,]+\.\d) s$")
"""A stage that ended: its verb, what came out, and how long it took."""
CAME = Decided(segmentation="small", live="9" * 200, previous=None, changed=True, revision=1)


class Terminal(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Standard error as a terminal of 40 columns, within a block: pytest has its own outside of it."""
    monkeypatch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    monkeypatch.setenv("COLUMNS", "40")
    return lambda: redirect_stderr(Terminal())


def test_the_line_moves_and_leaves_what_ended_cut_to_the_terminal(terminal):
    with terminal() as written, Stages() as stages, stages.at("ingest") as came:
        time.sleep(1.2)
        came.append(CAME)
    assert "ingest  0 s" in written.getvalue()
    assert "ingest  1 s" in written.getvalue()
    line, *rest = screen(written.getvalue(), 40)
    verb, words, seconds = ENDED.match(line).groups()
    assert (verb, words[:15], float(seconds) >= 1.2, len(line)) == ("ingest", "version 9999999", True, 40)
    assert not any(rest), "the moving line is gone"


def test_what_others_write_meanwhile_stands_on_lines_of_its_own(terminal):
    with terminal() as written, Stages() as stages, stages.at("ingest"):
        time.sleep(0.4)
        print("somebody's words", file=sys.stderr)
        time.sleep(0.4)
    first, second, *_ = screen(written.getvalue(), 40)
    assert first == "somebody's words"
    assert ENDED.match(second)


def test_a_meter_takes_the_place_of_the_moving_line(terminal):
    from tasks._progress import Meter

    with terminal() as written, Stages() as stages, stages.of_flow(), stages.at("embed"):
        meter = Meter("encode texts", lambda *_: None, every=0.0)
        meter(1, 4)
        time.sleep(0.6)
        meter.close()
        time.sleep(0.6)
    shown = written.getvalue()
    assert "encode texts: 25 %" in shown
    assert shown.rindex("embed  1 s") > shown.rindex("encode texts: 25 %")
    assert [bool(ENDED.match(line)) for line in screen(shown, 40) if line] == [True]


@pytest.mark.parametrize(("error", "word"), [(ValueError, "failed"), (KeyboardInterrupt, "stopped")])
def test_a_stage_that_does_not_end_leaves_its_name(terminal, error, word):
    with terminal() as written, pytest.raises(error), Stages() as stages, stages.at("ingest"):
        raise error
    line, *_ = screen(written.getvalue(), 40)
    assert ENDED.match(line).groups()[:2] == ("ingest", word)


@pytest.mark.parametrize("colours", [{}, {"FORCE_COLOR": "1"}])
def test_a_file_has_the_lines_alone(monkeypatch, capsys, colours):
    for name, value in colours.items():
        monkeypatch.setenv(name, value)
    with Stages() as stages, stages.at("ingest") as came:
        time.sleep(0.4)
        came.append(CAME)
    (line,) = capsys.readouterr().err.splitlines()
    assert ENDED.match(line).group(2) == f"version {CAME.live} is live"


def test_who_watched_leaves_no_trace_on_the_verbs():
    from tasks.ingest import ingest

    before = (list(ingest.on_running_hooks), list(ingest.on_completion_hooks))
    with Stages() as stages, stages.of_flow():
        assert ingest.on_running_hooks != before[0]
    assert (ingest.on_running_hooks, ingest.on_completion_hooks) == before


@pytest.mark.slow
def test_a_retrain_shows_its_stages_on_a_terminal_and_an_assignment_through_a_pipe(tmp_path):
    config, width = tmp_path / "small.yaml", 60
    config.write_text(yaml.safe_dump(SMALL))
    known = {"FENQUN_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    sets = [word for one in QUICK for word in ("--set", one)]
    code, out, written = on_a_terminal(["retrain", "--config", str(config), *sets, "--json"], width, known)
    assert code == 0, written
    told = json.loads(out)
    lines = [line for line in screen(written, width) if line]
    ended = [ENDED.match(line) for line in lines]
    assert all(ended), lines
    verbs = [one.group(1) for one in ended]
    order = [
        "start",
        "ingest",
        "featurize",
        "represent",
        "cluster",
        "evaluate",
        "choose",
        "build",
        "register",
        "report",
    ]
    assert [verb for verb in dict.fromkeys(verbs) if verb in order] == order
    came = {one.group(1): one.group(2) for one in ended}
    assert re.match(r"15,\d00 events, 300 users", came["ingest"])
    assert (came["cluster"], came["evaluate"]) == ("3 candidates", "3 candidates")
    assert came["register"] == f"version {told['model_version']}"
    assert sum(float(one.group(3).replace(",", "")) for one in ended) > 5
    assert re.search(r"ingest  \d+ s", written), "the line moved"

    done = subprocess.run(
        [sys.executable, "-m", "flows", "assign", "--config", str(config)], cwd=ROOT, env={**os.environ, **known},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not re.search(r"[\r\x1b]", done.stderr)
    ended = [ENDED.match(line) for line in done.stderr.splitlines()]
    assert all(ended), done.stderr
    assert [one.group(1) for one in ended] == ["start", "ingest", "validate", "assign", "validate", "publish"]
    assert "300 users assigned" in done.stdout
