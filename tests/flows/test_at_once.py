"""Two retrains of one segmentation at once: one version, one of them live, and the other told why not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from schemas.config import LedgerConfig
from tasks.stores import pointer
from tasks.stores.ledger import Ledger
from tests.helpers.configs import SMALL

pytestmark = pytest.mark.slow

REGISTERING = """
import sys
from pathlib import Path
from time import sleep
from flows.__main__ import environment, main
environment()
from tasks.ingestion import land
from tasks.ingestion.parts import Parts
from tasks.stores import ledger
save, leave, register = ledger.save_model, Parts.__exit__, ledger.Ledger.register
produce, here = land.produce, Path(sys.argv[2])
def both(step, seconds):
    (here / f"{step}-{sys.argv[3]}").touch()
    for _ in range(10 * seconds):
        if len(list(here.glob(f"{step}-*"))) == 2:
            return
        sleep(0.1)
def slow(*arguments):
    sleep(5)
    save(*arguments)
def landing(*arguments):
    with (here / "tries").open("a") as tries:
        tries.write(sys.argv[3])
    both("landing", 200)
    return produce(*arguments)
def late(*arguments):  # where both are let in at once, one of them ends first
    sleep(3 * (sys.argv[3] == "b"))
    return leave(*arguments)
def together(*arguments, **named):
    both("registering", 200)
    return register(*arguments, **named)
ledger.save_model, Parts.__exit__, ledger.Ledger.register = slow, late, together
land.produce = landing
sys.exit(main(["retrain", "--config", sys.argv[1]]))
"""


def test_two_retrains_that_land_and_register_the_same_at_once_make_one_version(tmp_path: Path):
    config, home, ready = tmp_path / "small.yaml", tmp_path / "home", tmp_path / "ready"
    config.write_text(yaml.safe_dump({**SMALL, "as_of": "2026-01-01T00:00:00Z"}))
    ready.mkdir()
    known = {**os.environ, "FENQUN_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", REGISTERING, str(config), str(ready)]
    both = [
        subprocess.Popen([*command, name], env=known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name in "ab"
    ]
    told = [one.communicate(timeout=550)[0] for one in both]
    both_told = "\n".join(told)  # a text: an assertion shows it whole
    assert sorted(one.returncode for one in both) == [0, 1], both_told
    assert any("another change came first" in words for words in told), both_told
    assert sorted((ready / "tries").read_text()) == ["a", "b"]  # a retry hides what went wrong
    live = pointer.read(str(home), "small")
    assert (live.revision, live.live.model_version) == (1, "1")
    books = Ledger(LedgerConfig(), str(home), "small")
    assert len(books.client.search_model_versions("name = 'small'")) == 1
