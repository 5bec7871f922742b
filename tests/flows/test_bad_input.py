"""Whatever is wrong with a config or its data: one clear line, an exit code, and the champion stays."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from flows.__main__ import main
from tasks.stores import pointer

GOOD = "user_id,item_id,event,timestamp\nu1,a,view,2025-01-01T10:00:00Z\nu2,b,view,2025-01-02T10:00:00Z\n"
CONFIG = {
    "segmentation": "shop",
    "source": {"kind": "tables", "events": {"path": "events.csv"}},
    "features": [{"kind": "behaviour"}],
    "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [3]}}]},
}
BEFORE_ANYTHING_RUNS = {
    "no config": (None, [], 2, "No such file"),
    "unknown key": (GOOD, ["ingest.bucket=3"], 2, "unknown key ingest.bucket; did you mean buckets?"),
    "unknown kind": (GOOD, ["source.kind=oracle"], 2, "source: "),
    "no data": ("", ["source.events.path=elsewhere.csv"], 1, "elsewhere.csv does not exist"),
    "a directory": (GOOD, ["source.events.path=."], 1, "is a directory"),
    "outside": (GOOD, ["source.events.path=../events.csv"], 2, "leaves the source's root"),
    "no table": (GOOD, ["source.events=null"], 2, "give events or texts"),
}
IN_THE_RUN = {
    "missing column": (GOOD.replace("item_id", "sku"), [], 1, "no column 'item_id' for events.item_id"),
    "unparsable timestamps": (GOOD.replace("2025", "soon"), [], 1, "timestamp is not a timestamp"),
    "empty file": ("", [], 1, "events.csv is empty"),
    "no rows": (GOOD.splitlines()[0] + "\n", [], 1, "no rows in events"),
    "much of it bad": (GOOD + ",a,view,2025-01-01\n", [], 1, "quarantine.events.share_error"),
    "all of it unwanted": (GOOD, ["validation.allowed_events=[buy]"], 1, "events.allowed_events"),
    "no ledger": (GOOD, ["ledger.tracking_uri=http://127.0.0.1:9"], 1, "MLflow at http://127.0.0.1:9 cannot be used"),
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder in which something is live; one for all cases, because a new ledger takes seconds."""
    home = tmp_path_factory.mktemp("home")
    live = pointer.Live(
        model_version="1", bundle="artifacts/bundle/b", sha256="0" * 64, run_id="r", tables={"assignments": 0},
        users=2, as_of=datetime(2025, 1, 1, tzinfo=UTC), promoted_at=datetime(2025, 1, 1, tzinfo=UTC),
        author="test", reason="test",
    )  # fmt: skip
    place = pointer.pointer_path(str(home), "shop")
    place.parent.mkdir(parents=True)
    place.write_text(pointer.Pointer(revision=1, live=live).model_dump_json())
    return home


@pytest.fixture
def champion(state, tmp_path, monkeypatch):
    """The folder for a case's files; afterwards the champion is as it was, and nothing was published."""
    before, place = dict(os.environ), pointer.pointer_path(str(state), "shop")
    content = place.read_bytes()
    monkeypatch.setenv("FENQUN_HOME", str(state))
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)
    assert place.read_bytes() == content
    assert not list(state.rglob("_delta_log"))


def written(folder: Path, content: str | None) -> Path:
    """The config, and the events that it names."""
    data, path = folder / "data", folder / "shop.yaml"
    data.mkdir()
    if content is not None:
        (data / "events.csv").write_text(content)
        path.write_text(yaml.safe_dump(CONFIG | {"source": {**CONFIG["source"], "root": str(data)}}))
    return path


def arguments(path: Path, overrides: list[str]) -> list[str]:
    return ["retrain", "--config", str(path), *(word for one in overrides for word in ("--set", one))]


def lines(capsys: pytest.CaptureFixture) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.strip()]


@pytest.mark.parametrize("case", BEFORE_ANYTHING_RUNS)
def test_what_can_be_known_at_once_is_told_before_anything_starts(champion, capsys, case):
    content, overrides, code, words = BEFORE_ANYTHING_RUNS[case]
    assert main(arguments(written(champion, content), overrides)) == code
    told = lines(capsys)
    assert len(told) == 1, told
    assert told[0].startswith("fenqun: ")
    assert words in told[0]


@pytest.mark.usefixtures("prefect_harness")
@pytest.mark.parametrize("case", IN_THE_RUN)
def test_what_shows_in_the_run_stops_it_with_one_line(champion, capsys, case):
    content, overrides, code, words = IN_THE_RUN[case]
    assert main(arguments(written(champion, content), overrides)) == code
    told = [line for line in lines(capsys) if line.startswith("fenqun: ")]
    assert len(told) == 1, told
    assert words in told[0]


@pytest.mark.slow
@pytest.mark.parametrize("debug", [False, True])
def test_a_terminal_shows_one_line_and_the_traceback_only_when_asked(champion, debug):
    path = written(champion, IN_THE_RUN["missing column"][0])
    command = [sys.executable, "-m", "flows", *(["--debug"] if debug else []), *arguments(path, [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert ("Traceback" in done.stdout + done.stderr) == debug
    if not debug:
        assert next(line for line in done.stderr.splitlines() if line.strip()).startswith("fenqun: ")
        assert len(done.stderr.strip().splitlines()) == 1
