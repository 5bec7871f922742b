"""Where the state folder is when nobody says: the program, its help, doctor, the Makefile and the pages agree."""

import os
import subprocess
from pathlib import Path

import pytest

from tasks.health.state import state
from tasks.stores.home import RULE, home
from tests.helpers import cli

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> Path:
    """The working directory is none of ours, and FENQUN_HOME is not set."""
    monkeypatch.delenv("FENQUN_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of_make(**more: str) -> str:
    """FENQUN_HOME as the recipes of the Makefile see it."""
    asked = ["make", "--no-print-directory", "-C", str(ROOT), "--eval", "asked: ; @echo $$FENQUN_HOME", "asked"]
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    done = subprocess.run(asked, capture_output=True, text=True, check=True, env=environment | more)
    return done.stdout.strip()


def test_the_program_takes_the_working_directory_s_and_make_the_checkout_s(elsewhere):
    assert home() == str(elsewhere / "var")
    assert of_make() == str(ROOT / "var")
    assert of_make(FENQUN_HOME="/somewhere/else") == "/somewhere/else"


def test_help_and_doctor_say_so(elsewhere):
    assert "FENQUN_HOME or, where it is not set, under var in the working directory" in " ".join(
        cli.commands()[()].help.split()
    )
    for _ in range(2):
        assert f"{elsewhere / 'var'} ({RULE})" in state(home())[0].found
        (elsewhere / "var").mkdir(exist_ok=True)


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md"])
def test_the_pages_say_so(page):
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    (told,) = (one for one in text.split("Everything that is made lies under ")[1:])
    for word in ("`make`", "`var/` in the checkout", "`fenqun` takes `var/` in the working directory", "fenqun doctor"):
        assert word in told[:500]
