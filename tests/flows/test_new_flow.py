"""A new flow is one file and a new verb is one file: the command line, `make ui` and the import rules find them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.found import flows
from flows.options import command
from schemas.errors import FenqunError
from tests.helpers.servers import ROOT

FLOW = '''"""greet: says a word to somebody."""

from typing import Literal

from prefect import flow

from schemas.reports import Report
from tasks.greet import greet as say


class Greeted(Report):
    """What was said."""

    words: str
    times: int


@flow(name="greet")
def greet(who: str, times: int = 2, loud: bool = False, tone: Literal["plain", "warm"] = "plain") -> Greeted:
    """Greets somebody.

    Args:
        who: Whom to greet, [in person].
        times: How often;
            not seldom.
        loud: Shout it.
        tone: How it sounds.
    """
    return Greeted(words=say(who, loud, tone), times=times)
'''
VERB = '''"""greet: a word to somebody."""

from prefect import task


@task(name="greet")
def greet(who: str, loud: bool, tone: str) -> str:
    """The word."""
    word = f"{'dear' if tone == 'warm' else 'hello'} {who}"
    return word.upper() if loud else word
'''
FAULTS = {
    "a verb imports a verb": ("tasks/greet.py", "from tasks.choose import choose", "tasks.greet -> tasks.choose"),
    "a noun imports a verb": (
        "tasks/segments/_new.py",
        "from tasks.greet import greet",
        "segments._new -> tasks.greet",
    ),
    "a verb imports a flow": ("tasks/greet.py", "from flows.config import load", "tasks.greet -> flows.config"),
    "a schema imports a verb": ("schemas/_new.py", "from tasks.greet import greet", "schemas._new -> tasks.greet"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout with one more flow and one more verb."""
    place = tmp_path_factory.mktemp("checkout")
    for name in ("schemas", "expectations", "tasks", "flows", "deployments"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".importlinter"):
        shutil.copy(ROOT / name, place / name)
    (place / "flows" / "greet.py").write_text(FLOW)
    (place / "tasks" / "greet.py").write_text(VERB)
    return place


def ran(place: Path, *words: str) -> str:
    """What Python prints in the copy; its standard error too where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(place), "FENQUN_HOME": str(place / "home"), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *words], cwd=place, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    return done.stdout + (done.stderr if done.returncode else "")


def linted(place: Path) -> str:
    return ran(place, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")


def test_the_command_line_shows_it_with_the_options_of_its_signature(copy):
    assert "Greets somebody." in ran(copy, "-m", "flows", "--help")
    told = " ".join(ran(copy, "-m", "flows", "greet", "--help").split())
    for words in ("--who <str> Whom to greet, [in person]. [required]", "--times <int> How often; not seldom.",
                  "--loud <bool> Shout it.", "--tone <plain|warm> How it sounds.", "--json"):  # fmt: skip
        assert words in told, told
    assert "--no-loud" not in told
    assert "Missing option '--who'" in ran(copy, "-m", "flows", "greet")
    assert "'--times'" in ran(copy, "-m", "flows", "greet", "--who", "ana", "--times", "often")


def test_the_import_rules_hold_without_being_told_of_it(copy):
    assert "0 broken" in linted(copy)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_import_rules_see_a_new_file_that_breaks_them(copy, fault):
    file, line, told = FAULTS[fault]
    path = copy / file
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        assert told in linted(copy)
    finally:
        path.unlink() if before is None else path.write_text(before)


@pytest.mark.slow
def test_it_runs_and_is_served(copy):
    told = ran(copy, "-m", "flows", "greet", "--who", "ana", "--loud")
    assert [line.split() for line in told.splitlines()] == [["words", "HELLO", "ANA"], ["times", "2"]]
    told = ran(copy, "-m", "flows", "greet", "--who", "ana", "--tone", "warm", "--times", "3", "--json")
    assert told.split() == ["{", '"words":', '"dear', 'ana",', '"times":', "3", "}"]
    served = "from flows.deployments import deployments; print([(d.flow_name, d.name) for d in deployments()])"
    assert "('greet', 'any-ui')" in ran(copy, "-c", served)


def written(folder: Path, parameters: str) -> Path:
    (folder / "draw.py").write_text(f'@flow\ndef draw({parameters}):\n    """Draws."""\n\n\ndef other():\n    pass\n')
    return folder


def test_a_parameter_that_cannot_be_given_is_left_to_its_default(tmp_path):
    parameters = "config: RetrainConfig, ledger: LedgerConfig | None = None, odd: Odd = Odd(), fine: bool = True"
    (found,) = flows(written(tmp_path, parameters))
    assert found.takes_config
    drawn = command(found).__signature__.parameters
    assert list(drawn) == ["config", "overrides", "ledger", "fine"]
    assert [one.annotation.__metadata__[0].default for one in drawn.values()] == [
        "--config", "--set", "--tracking-uri", "--fine/--no-fine"
    ]  # fmt: skip


def test_one_that_must_be_given_and_cannot_be_is_told(tmp_path):
    (found,) = flows(written(tmp_path, "odd: Odd"))
    with pytest.raises(FenqunError, match=r"flows/draw.py: odd: Odd cannot be given on the command line"):
        command(found)


def test_only_a_flow_of_its_files_name_is_found(tmp_path):
    (tmp_path / "steps.py").write_text("@flow\ndef inner(): ...\n")
    (tmp_path / "plain.py").write_text('"""No @flow."""\ndef plain(): ...\n')
    assert flows(tmp_path) == ()
    (tmp_path / "broken.py").write_text("@flow\ndef broken(:\n")
    with pytest.raises(FenqunError, match=r"broken.py: line 2: "):
        flows(tmp_path)
