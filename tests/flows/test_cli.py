"""The command line itself: help, JSON, exit codes, and what stands on which stream."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.__main__ import main
from schemas.pages import Pages
from schemas.reports import Gate, Lineage, Verdict
from schemas.runs import Decided, Summary
from tests.helpers.configs import SMALL
from tests.helpers.servers import ROOT
from tests.helpers.versions import NAME, make_live

CONFIG = str(ROOT / "deployments" / "configs" / "synthetic.yaml")
GATE = Gate(name="churn", passed=False, measured=0.4, bound="<= 0.1", why="too many move")
PAGES = Pages(prefect="http://127.0.0.1:4300", mlflow="http://127.0.0.1:5100")
SUMMARY = Summary(
    segmentation="shop", run_id="r", experiment_id="1", prefect_run="", model_version="7", new_version=True,
    chosen="kmeans-k5", reason="best", verdict=Verdict(promoted=False, gates=(GATE,)), profiles=(), report="/r.html",
    metrics={"stability": float("nan"), "wcss": 2.0}, lineage=Lineage(ids=(), changes=(), next_number=1), pages=PAGES,
)  # fmt: skip
REFUSED = Decided(
    segmentation=NAME,
    live="1",
    previous=None,
    changed=False,
    revision=1,
    verdict=Verdict(promoted=False, gates=(GATE,)),
)


def environment(**more: str) -> dict[str, str]:
    """That of a plain shell: on a build server Rich colours whatever it writes to."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "LANG": "C.UTF-8", **more}


def flow_says(monkeypatch: pytest.MonkeyPatch, outcome: object) -> None:
    """Lets every flow print something and return the outcome, or raise it."""

    def here(flow: str, **arguments: object) -> object:
        print("noise of a library")
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr("flows.around.here", here)


@pytest.mark.parametrize("words", [["--help"], ["retrain", "--help"], ["promote", "-h"], ["--version"]], ids=" ".join)
def test_help_loads_no_heavy_library(words):
    code = f"""
import sys
from flows.__main__ import main
assert main({words}) == 0
heavy = {{"prefect", "mlflow", "torch", "polars", "numpy", "great_expectations"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout, "codes for a terminal in a pipe"
    assert done.stdout.strip()


def test_help_stands_in_groups(capsys):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    places = [told.index(f" {word} ") for word in ("Flows", "retrain", "Look", "segments", "Serve", "ui")]
    assert places == sorted(places)


def shown(**more: str) -> str:
    """The help on a terminal."""
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "flows", "--help"], env=environment(**more), stdout=theirs, check=True, cwd=ROOT
    )
    os.close(theirs)
    told = b""
    try:
        while part := os.read(ours, 65536):
            told += part
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    os.close(ours)
    return told.decode()


def test_no_color_is_honoured_on_a_terminal():
    colour = re.compile(r"\x1b\[[\d;]*\b(3[0-8]|9[0-7])[\d;]*m")
    assert colour.search(shown())
    told = shown(NO_COLOR="1")
    assert "retrain" in told
    assert not colour.search(told)


def test_a_shell_completes_commands_and_options():
    for typed, expected in (("re", "retrain"), ("retrain --con", "--config"), ("segments l", "list")):
        words = {"COMP_WORDS": f"fenqun {typed}", "COMP_CWORD": str(len(typed.split()))}
        done = subprocess.run(
            [sys.executable, "-m", "flows"], env=environment(_FENQUN_COMPLETE="complete_bash", **words),
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert expected in done.stdout.split(), (done.stdout, done.stderr)


@pytest.mark.parametrize("words", [[], ["segments"], ["retrain"], ["retrain", "--confg", "x"], ["retrian"], ["--bug"]])
def test_a_usage_error_is_one_line_that_says_where_help_is(capsys, words):
    assert main(words) == 2
    told, errors = capsys.readouterr()
    assert not told
    assert re.fullmatch(r"fenqun: .+ \(see `fenqun.* --help`\)\n", errors), errors


def test_a_check_is_one_document(home: Path, capsys):
    assert main(["check", "--config", CONFIG, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["config"], told["segmentation"]) == (CONFIG, "synthetic")
    assert "events" in told["parts"]


def test_what_is_published_is_one_document(shop, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("FENQUN_HOME", str(shop[0]))
    make_live(shop, 0)
    make_live(shop, 1)

    def asked(*words: str) -> dict:
        assert main([*words, "--segmentation", NAME, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    listed = asked("segments", "list")
    assert listed["model_version"] == "2"
    sizes = [one["users"] for one in listed["segments"]]
    assert sizes == sorted(sizes, reverse=True)
    file = tmp_path / "all.csv"
    written = asked("segments", "export", "--output", str(file))
    assert written == {"segmentation": NAME, "segment": None, "users": written["users"], "output": str(file)}
    rows = [line.split(",") for line in file.read_text().splitlines()]
    column = rows[0].index("segment_id")
    for one in listed["segments"]:
        assert one["users"] == sum(row[column] == one["segment_id"] for row in rows[1:])
        assert one["share"] == pytest.approx(one["users"] / written["users"])
    user = asked("user", rows[1][0])
    assert (user["user_id"], user["segment_id"]) == (rows[1][0], rows[1][column] or None)
    back = asked("rollback", "--author", "ann", "--reason", "worse")
    assert (back["live"], back["previous"], back["changed"]) == ("1", "2", True)
    assert main(["segments", "list", "--segmentation", NAME]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{NAME}: {len(lines) - 1} segments, version 1"
    assert len(lines) > 1


def test_a_run_is_one_document_whatever_libraries_print(home: Path, monkeypatch, capsys):
    flow_says(monkeypatch, SUMMARY)
    assert main(["retrain", "--config", CONFIG, "--json"]) == 0
    told, errors = capsys.readouterr()
    document = json.loads(told)
    assert (document["chosen"], document["metrics"]) == ("kmeans-k5", {"stability": None, "wcss": 2.0})
    assert errors == "noise of a library\n"
    assert main(["retrain", "--config", CONFIG]) == 0
    assert "kmeans-k5" in capsys.readouterr().out


def test_a_refused_promotion_is_told_and_fails(shop, monkeypatch, capsys):
    monkeypatch.setenv("FENQUN_HOME", str(shop[0]))
    flow_says(monkeypatch, REFUSED)
    words = ["promote", "--segmentation", NAME, "--version", "2"]
    why = f"fenqun: {NAME}: version 2 was refused; version 1 stays live."
    assert main([*words, "--json"]) == 1
    told, errors = capsys.readouterr()
    assert json.loads(told)["verdict"]["gates"][0]["why"] == "too many move"
    assert errors.splitlines()[-1].startswith(why)
    assert main(words) == 1
    told, errors = capsys.readouterr()
    assert told.splitlines()[-1] == "failed    churn: too many move (bound <= 0.1)"
    assert errors.startswith(why)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, ""),
        (EOFError("ran out"), 1, "fenqun: EOFError: ran out"),
        (BrokenPipeError(32, "Broken pipe"), 1, "fenqun: BrokenPipeError: [Errno 32] Broken pipe"),
        (ZeroDivisionError("by zero"), 1, "fenqun: ZeroDivisionError: by zero (run `fenqun --debug ...` for"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, BaseException) else None,
)
def test_what_stops_a_run_is_told_once_on_standard_error(home: Path, monkeypatch, capsys, error, code, words):
    flow_says(monkeypatch, error)
    assert main(["retrain", "--config", CONFIG, "--json"]) == code
    told, errors = capsys.readouterr()
    assert not told
    assert words in errors
    assert errors.count("fenqun: ") == bool(words)


def test_debug_shows_the_traceback(home: Path, monkeypatch):
    flow_says(monkeypatch, ZeroDivisionError("by zero"))
    with pytest.raises(ZeroDivisionError):
        main(["--debug", "retrain", "--config", CONFIG])


@pytest.mark.slow
def test_a_real_run_and_its_assignment_are_one_document_each(tmp_path: Path):
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(SMALL))

    def fenqun(*words: str) -> dict:
        command = [sys.executable, "-m", "flows", *words, "--config", str(config), "--json"]
        done = subprocess.run(
            command, env=environment(FENQUN_HOME=str(tmp_path / "home")), cwd=ROOT, capture_output=True, text=True,
            timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert fenqun("retrain")["verdict"]["promoted"]
    assert fenqun("assign")["users"] == 300


def checked(folder: Path, capsys):
    """What `check` says of the events in e.csv of a folder, given overrides."""
    config = {
        "segmentation": "shop", "source": {"kind": "tables", "root": str(folder), "events": {"path": "e.csv"}},
        "features": [{"kind": "behaviour"}], "search": {"candidates": [{"algorithm": {"kind": "kmeans"}}]},
    }  # fmt: skip
    (folder / "c.yaml").write_text(yaml.safe_dump(config))

    def told(*overrides: str) -> str:
        assert main(["check", "--config", str(folder / "c.yaml"), *overrides]) == 0
        return capsys.readouterr().out

    return told


def test_a_check_says_which_events_count_as_choices_and_how_to_say_otherwise(home: Path, tmp_path: Path, capsys):
    names = ["view"] * 6 + ["purchase"] * 4
    rows = [f"u{n},i,{name},2024-05-01\n" for n, name in enumerate(names)]
    (tmp_path / "e.csv").write_text("user_id,item_id,event,timestamp\n" + "".join(rows))
    told = checked(tmp_path, capsys)
    open_ = told()
    assert "all events count as choices: view, purchase." in open_
    assert "name the choices: evaluate: {events: [...]}" in open_
    assert "choices" not in told("--set", "evaluate.events=[purchase]")
    assert "choices" not in told("--set", "evaluate.lift=false")
    misspelt = told("--set", "evaluate.events=[purchse]")
    assert "'purchse'; there are purchase, view; did you mean purchase?" in misspelt
    (tmp_path / "e.csv").write_text("user_id,item_id,event,timestamp\n" + "".join(rows[:6]))
    assert "choices" not in told(), "of one name there is nothing to say"


def test_a_check_asks_who_is_nobody(home: Path, tmp_path: Path, capsys):
    users = ["Unknown"] * 3 + ["0"] + [f"u{n}" for n in range(26)]
    rows = [f"{user},i{n % 3},2024-05-01\n" for n, user in enumerate(users)]
    (tmp_path / "e.csv").write_text("user_id,item_id,timestamp\n" + "".join(rows))
    told = checked(tmp_path, capsys)
    assert "events: 'Unknown' (3 rows), '0' (1 rows) may be nobody, or many; if so, name it: ingest" in told()
    assert "nobody" not in told("--set", "validation.max_nobody_share=0.2")
    named = told("--set", "ingest.no_ids=[unknown, '0']")
    assert "may be nobody" not in named
    assert "4 aside: user_id: a word for nothing" in named


def test_a_check_fails_where_a_run_would_set_too_many_rows_aside(home: Path, tmp_path: Path, capsys):
    rows = [f"u{n},i,{45292 + n if n % 2 else '2024-05-01'}\n" for n in range(10)]
    (tmp_path / "e.csv").write_text("user_id,item_id,timestamp\n" + "".join(rows))
    config = {
        "segmentation": "shop", "source": {"kind": "tables", "root": str(tmp_path), "events": {"path": "e.csv"}},
        "features": [{"kind": "behaviour"}], "search": {"candidates": [{"algorithm": {"kind": "kmeans"}}]},
    }  # fmt: skip
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    assert main(["check", "--config", str(tmp_path / "c.yaml")]) == 1
    told, error = capsys.readouterr()
    assert "events: 5 of the first 10 rows would be taken" in told
    assert "5 aside: timestamp: a number like a spreadsheet's date" in told
    assert "(the first: e.csv:2)" in told
    assert re.search(r"more than 20% of these rows of events would be set aside", error)
    assert main(["check", "--config", str(tmp_path / "c.yaml"), "--set", "validation.max_quarantined_share=0.6"]) == 0


def test_a_check_says_how_columns_are_read_and_what_is_switched_off(home: Path, tmp_path: Path, capsys):
    (tmp_path / "e.csv").write_text("shop,who,sku,note\na,b,i,x\na,c,j,y\n")
    events = {"path": "e.csv", "columns": {"user_id": ["shop", "who"], "item_id": "sku"}}
    untimed = {**events, "defaults": {"timestamp": "2025-01-31"}}
    config = {
        "segmentation": "shop", "features": [{"kind": "behaviour"}, {"kind": "interest"}],
        "source": {"kind": "tables", "root": str(tmp_path), "events": untimed},
        "search": {"candidates": [{"algorithm": {"kind": "kmeans"}}]},
    }  # fmt: skip
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    assert main(["check", "--config", str(tmp_path / "c.yaml")]) == 0
    told = capsys.readouterr().out
    assert "user_id: text (your shop and who), item_id: text (your sku)" in told
    assert "value: number (empty)" in told
    assert "  not read: note\n" in told
    assert "interest is switched off: no rows in items" in told
    assert "events have no value: no features of money or ratings" in told
    assert "events have one time for all" in told
    (tmp_path / "e.csv").write_text("shop,who,sku,value,timestamp\na,b,i,1,2025-01-01\na,c,j,2,2025-01-02\n")
    events_again = {**config, "source": {**config["source"], "events": events}, "features": [{"kind": "behaviour"}]}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(events_again))
    assert main(["check", "--config", str(tmp_path / "c.yaml")]) == 0
    told = capsys.readouterr().out
    assert not [words for words in ("not read", "switched off", "no value", "one time", "empty") if words in told]
    rows = "".join(f"a,b,i,1,2025-01-01,{name}\n" for name in ("Buy", "buy", "view"))
    (tmp_path / "e.csv").write_text("shop,who,sku,value,timestamp,event\n" + rows)
    assert main(["check", "--config", str(tmp_path / "c.yaml")]) == 0
    assert "'Buy', 'buy' are names of several events; if of one, say so: event_names" in capsys.readouterr().out
