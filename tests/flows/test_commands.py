"""What stops a command before its flow begins: a state folder, a port or a server that is not there, and Ctrl-C."""

import re
import time
from pathlib import Path
from threading import Event

import pytest

from flows.__main__ import main
from flows.running import prefect_starting
from flows.telling import tell
from schemas.errors import FenqunError
from schemas.pages import Pages
from schemas.reports import Gate, Lineage, Verdict
from schemas.runs import Summary
from tests.helpers.cli import parse

CONFIG = str(Path(__file__).resolve().parents[2] / "deployments" / "configs" / "synthetic.yaml")
COMMANDS = [
    ["retrain", "--config", CONFIG], ["ui"], ["user", "u1", "--segmentation", "shop"],
    ["rollback", "--segmentation", "shop", "--author", "a", "--reason", "b"],
]  # fmt: skip


@pytest.mark.parametrize("inside", ["", "state"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: words[0])
def test_a_state_folder_that_is_a_file_is_told_by_its_variable(tmp_path, monkeypatch, capsys, arguments, inside):
    place = tmp_path / "file"
    place.write_text("")
    monkeypatch.setenv("FENQUN_HOME", str(place / inside))
    assert main(arguments) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told == f"fenqun: FENQUN_HOME={place / inside}: Not a directory; name a folder that can be written to"


def test_looking_at_the_state_folder_leaves_nothing(home: Path, capsys):
    assert main(["user", "u1", "--segmentation", "shop"]) == 2
    assert main(["rollback", "--segmentation", "shop", "--author", "a", "--reason", "b"]) == 2
    assert capsys.readouterr().err.count("nothing is live") == 2
    assert not home.exists() or not list(home.iterdir())


GATE = Gate(name="churn", passed=False, measured=0.4, bound="<= 0.1", why="too many move")
TOLD = Summary(
    segmentation="shop", run_id="r", experiment_id="1", prefect_run="p", model_version="7", new_version=True,
    chosen="kmeans-k5", reason="best", verdict=Verdict(promoted=False, gates=(GATE,)), profiles=(), metrics={},
    lineage=Lineage(ids=(), changes=(), next_number=1), report="/home/ä b/r.html",
    pages=Pages(prefect="http://127.0.0.1:4300", mlflow="http://127.0.0.1:5100"),
)  # fmt: skip


def test_a_refused_candidate_is_told_with_what_stays_and_how_to_promote_it_all_the_same(capsys):
    tell(TOLD)
    said = capsys.readouterr().out
    assert "refused   churn: too many move (bound <= 0.1)\n          what is live stays" in said
    (command,) = re.findall(r"fenqun (promote .*)$", said, re.MULTILINE)
    assert parse(command.split())["version"] == "7"
    tell(TOLD.model_copy(update={"verdict": Verdict(promoted=True, gates=(GATE.model_copy(update={"passed": True}),))}))
    assert "what is live stays" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("closed", "heads"),
    [
        ((), [("open", ["Prefect", "MLflow", "k"])]),
        (("Prefect", "MLflow"), [("make ui, then open", ["Prefect", "MLflow", "k"])]),
        (("MLflow",), [("open", ["Prefect"]), ("make ui, then open", ["MLflow", "k"])]),
    ],
)
def test_pages_that_are_served_are_told_apart_from_those_that_would_be(capsys, closed, heads):
    tell(TOLD.model_copy(update={"pages": TOLD.pages.model_copy(update={"closed": closed})}))
    said = capsys.readouterr().out
    assert "report    file:///home/%C3%A4%20b/r.html\n" in said, "an address that a browser opens"
    blocks = said.partition("r.html\n")[2].strip("\n").split("\n\n")
    found = [(head, [line.split()[0] for line in lines]) for head, *lines in map(str.splitlines, blocks)]
    assert found == heads
    assert "  Prefect  http://127.0.0.1:4300/runs/flow-run/p\n" in said
    assert "  MLflow   http://127.0.0.1:5100/#/experiments/1/runs/r?workflowType=machine_learning\n" in said


@pytest.mark.parametrize("port", ["0", "99999", "-1", "80x"])
def test_a_number_that_is_no_port_is_a_usage_error(capsys, port):
    assert main(["ui", f"--prefect-port={port}"]) == 2
    assert f"{port} is no port; give a number from 1 to 65535" in capsys.readouterr().err


def test_a_configured_server_that_does_not_answer_is_told(home: Path):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    address = "http://127.0.0.1:9/api"
    with (
        temporary_settings({PREFECT_API_URL: address}),
        pytest.raises(FenqunError, match=f"{address} does not answer"),
        prefect_starting(),
    ):
        pass


def test_an_interrupt_does_not_wait_for_a_server_that_never_comes(home: Path, monkeypatch):
    """Ctrl-C ends the temporary server too; Prefect waits minutes for the dead one, in the thread that we started."""
    begun, ended = Event(), Event()

    def never(**_: object) -> None:
        begun.set()
        ended.wait(60)

    monkeypatch.setattr("prefect.client.orchestration.get_client", never)

    def interrupted() -> None:
        with prefect_starting():
            assert begun.wait(30)
            raise KeyboardInterrupt

    started = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert time.monotonic() - started < 30
    finally:
        ended.set()
