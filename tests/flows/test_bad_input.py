"""Whatever is wrong with a config or its data: one clear line, an exit code, and the champion stays."""

import gzip
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from flows.__main__ import main
from schemas.config import LedgerConfig
from tasks.stores import pointer
from tasks.stores.ledger import Ledger

GOOD = "user_id,item_id,event,timestamp\nu1,a,view,2025-01-01T10:00:00Z\nu2,b,view,2025-01-02T10:00:00Z\n"
CONFIG = {
    "segmentation": "shop",
    "source": {"kind": "tables", "events": {"path": "events.csv"}},
    "features": [{"kind": "behaviour"}],
    "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [3]}}]},
}
QUERY = "source.events={{sql: select * from orders, url: 'sqlite:///{}'}}"
PACKED = gzip.compress((GOOD + "u3,c,view,2025-01-03\n" * 9999).encode())
CHINESE = GOOD.encode() + "用户,商品,看,2025-01-01\n".encode("gb18030") * 9
BEFORE_ANYTHING_RUNS = {
    "no config": (None, [], 2, "No such file"),
    "unknown key": (GOOD, ["ingest.bucket=3"], 2, "unknown key ingest.bucket; did you mean buckets?"),
    "unknown kind": (GOOD, ["source.kind=oracle"], 2, "source: "),
    "unknown parameter": (GOOD, ["search.candidates.0.grid.n=[3]"], 2, "search: kmeans.n: "),
    "wrong value": (GOOD, ["search.candidates.0.grid.k=[many]"], 2, "search: kmeans.k: Input should be a valid int"),
    "no such place": (GOOD, ["search.candidates.3.grid.k=[3]"], 2, "3 is no place in a list of 1"),
    "unknown zone": (
        GOOD,
        ["source.time_zone=Asia/Shanhai"],
        2,
        "source.tables.time_zone: there is no time zone 'Asia/",
    ),
    "no data": (None, ["source.events.path=elsewhere.csv"], 1, "elsewhere.csv does not exist"),
    "a directory": (GOOD, ["source.events.path=."], 1, "is a directory"),
    "outside": (GOOD, ["source.events.path=../events.csv"], 2, "leaves the source's root"),
    "no root": (GOOD, ["source.root=/nowhere"], 2, "the source's root is not a folder: /nowhere"),
    "no table": (GOOD, ["source.events=null"], 2, "give events, texts, users or edges"),
    "unset variable": (GOOD, [QUERY.format("${SHOP_BASE}")], 2, "the environment variable SHOP_BASE is not set"),
    "no database": (GOOD, [QUERY.format("/nowhere/shop.db")], 1, "events: the database says: unable to open database"),
    "missing column": (
        GOOD.replace("item_id", "item-key"),
        [],
        1,
        "events.csv: no column 'item_id' for events.item_id",
    ),
    "missing key": (GOOD, ["source.events.key=[order]"], 1, "events.csv: no column 'order', which is declared a key"),
    "unknown column": (
        GOOD,
        ["source.events.columns={user: user_id}"],
        2,
        "events has no column 'user'; it has user_id",
    ),
    "wrong delimiter": (
        GOOD.replace(",", ";"),
        [],
        1,
        "events.csv: the header is one column; it looks separated by ';'",
    ),
    "wrong encoding": (CHINESE, [], 1, "events.csv is not utf-8; set encoding, such as gb18030"),
    "empty file": ("", [], 1, "events.csv is empty"),
}
IN_THE_RUN = {
    "unparsable timestamps": (
        GOOD.replace("2025", "soon"),
        [],
        1,
        "timestamp is not a timestamp in the declared format",
    ),
    "no pattern": (GOOD, ["source.events.time_format='%d %H'"], 2, "time_format '%d %H': Invalid format string"),
    "no rows": (GOOD.splitlines()[0] + "\n", [], 1, "no rows in events"),
    "truncated": (PACKED[:60], ["source.events.format=csv"], 1, "events.csv.gz cannot be read, it may be truncated"),
    "much of it bad": (GOOD + ",a,view,2025-01-01\n", [], 1, "quarantine.events.share_error"),
    "one key twice": (GOOD.replace("u2", "u1"), ["source.events.key=[event]"], 1, "quarantine.events.share_error"),
    "all of it unwanted": (GOOD, ["validation.allowed_events=[buy]"], 1, "events.allowed_events"),
    "unknown choice": (
        GOOD,
        ["evaluate.events=[vew]"],
        2,
        "no event is named 'vew'; there are view; did you mean view?",
    ),
    "all families off": (
        GOOD,
        ["features=[{kind: social}]"],
        1,
        "nothing describes users (social is switched off: ",
    ),
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
    books = Ledger(LedgerConfig(), str(home), "shop").client
    books.create_registered_model("shop")
    books.create_model_version("shop", "artifacts:/model")
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


def written(folder: Path, case: str, content: str | bytes | None) -> Path:
    """The config, and the events that it names."""
    data, path = folder / "data", folder / "shop.yaml"
    data.mkdir()
    name = "events.csv.gz" if case == "truncated" else "events.csv"
    if content is not None:
        (data / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if case != "no config":
        source = {**CONFIG["source"], "root": str(data), "events": {"path": name}}
        path.write_text(yaml.safe_dump(CONFIG | {"source": source}))
    return path


def arguments(path: Path, overrides: list[str]) -> list[str]:
    return ["retrain", "--config", str(path), *(word for one in overrides for word in ("--set", one))]


def lines(capsys: pytest.CaptureFixture) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.strip()]


@pytest.mark.parametrize("case", BEFORE_ANYTHING_RUNS)
def test_what_can_be_known_at_once_is_told_before_anything_starts(champion, capsys, case):
    content, overrides, code, words = BEFORE_ANYTHING_RUNS[case]
    assert main(arguments(written(champion, case, content), overrides)) == code
    told = lines(capsys)
    assert len(told) == 1, told
    assert told[0].startswith("fenqun: ")
    assert words in told[0]


@pytest.mark.usefixtures("prefect_harness")
@pytest.mark.parametrize("case", IN_THE_RUN)
def test_what_shows_in_the_run_stops_it_with_one_line(champion, capsys, case):
    content, overrides, code, words = IN_THE_RUN[case]
    assert main(arguments(written(champion, case, content), overrides)) == code
    told = [line for line in lines(capsys) if line.startswith("fenqun: ")]
    assert len(told) == 1, told
    assert words in told[0]


@pytest.mark.slow
@pytest.mark.parametrize("debug", [False, True])
def test_a_command_tells_the_stage_and_one_line_and_the_traceback_only_when_asked(champion, debug):
    path = written(champion, "no rows", IN_THE_RUN["no rows"][0])
    command = [sys.executable, "-m", "flows", *(["--debug"] if debug else []), *arguments(path, [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert ("Traceback" in done.stdout + done.stderr) == debug
    if not debug:
        *stages, failed, told = done.stderr.splitlines()
        assert [line.split()[0] for line in stages] == ["start"]
        assert failed.split()[:2] == ["ingest", "failed"]
        assert told.startswith("fenqun: ")
