"""Kill -9 anywhere within a promotion or rollback: readers see one champion, whole, and the next run mends the rest."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.registry import promotion
from tasks.stores import pointer, tables
from tests.helpers import versions

pytestmark = pytest.mark.slow

NAME = versions.NAME
PUBLISHED = ("assignments", "segments", "transitions", "quarantine")
BEFORE = [f"before {name}" for name in PUBLISHED] + ["within a table", "before the pointer"]
AFTER = ["after the pointer", "before the aliases", "between the aliases"]


def dying(home: Path, where: str, change: str) -> None:
    """Promotes version 2, or rolls it back, and dies on the way; run in a process of its own."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def at(owner: object, name: str, hit: object = lambda *a, **k: True, after: bool = False) -> None:
        real = getattr(owner, name)

        def call(*args: object, **kwargs: object) -> object:
            if not hit(*args, **kwargs):
                return real(*args, **kwargs)
            if after:
                real(*args, **kwargs)
            return die()

        setattr(owner, name, call)

    from tasks.stores.ledger import Ledger

    word = where.removeprefix("before ")
    if word in ("assignments", "segments"):
        at(tables, "publish", lambda home, segmentation, name, frame, **_: name == word)
    elif word in ("transitions", "quarantine"):
        at(tables, "publish_onto", lambda home, segmentation, name, *_: name == word)
    elif where == "within a table":  # its files are written, its commit is not
        import deltalake

        real = deltalake.write_deltalake

        def half(path: str, data: object, **settings: object) -> None:
            if path.endswith("transitions"):
                real(f"{path}.part", data)
                part = next(Path(f"{path}.part").glob("*.parquet"))
                part.rename(Path(path) / part.name)
                shutil.rmtree(f"{path}.part")
                die()
            real(path, data, **settings)

        deltalake.write_deltalake = half
    elif where == "before the pointer":  # the new content lies beside, the rename is not made
        at(Path, "replace", lambda temporary, target: Path(target).name == "live.json")
    elif where == "after the pointer":
        at(pointer, "replace", after=True)
    elif where == "before the aliases":
        at(promotion, "mirror")
    elif where == "between the aliases":
        at(Ledger, "alias", after=True)
    versions.promoted(home, "2") if change == "promote" else versions.rolled_back(home)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Two registered versions, the first live; and what readers see of the second when nothing goes wrong."""
    home = tmp_path_factory.mktemp("clean") / "home"
    home.mkdir()
    versions.two(home)
    versions.promoted(home, "1")
    first = seen(home)
    shutil.copytree(home / "segmentations", home.parent / "kept")
    versions.promoted(home, "2")
    return home, first, seen(home)


@pytest.fixture
def home(clean):
    place, *_ = clean
    shutil.rmtree(place / "segmentations")
    shutil.copytree(place.parent / "kept", place / "segmentations")
    model, ledger = versions.recalled(place, "1")
    ledger.mirror(model.version, None)
    ledger.alias("previous", None)
    return place


def seen(home: Path) -> dict[str, str]:
    """What readers see of every published table."""
    named = pointer.read(str(home), NAME).live.tables
    assert set(named) == set(PUBLISHED)
    found = {name: tables.published(str(home), NAME, name) for name in PUBLISHED}
    return {name: json.dumps(sorted(map(str, frame.to_dicts()))) for name, frame in found.items()}


def killed(home: Path, where: str, change: str = "promote") -> None:
    call = f"dying(Path({str(home)!r}), {where!r}, {change!r})"
    code = f"from pathlib import Path\nfrom tests.behaviour.test_kills import dying\n{call}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


@pytest.mark.parametrize("where", [*BEFORE, *AFTER])
def test_a_promotion_that_is_killed_leaves_one_champion_and_the_next_run_mends_the_rest(clean, home, where):
    _, first, second = clean
    killed(home, where)
    live = pointer.read(str(home), NAME).live
    assert live.model_version == ("2" if where in AFTER else "1")
    assert seen(home) == (second if where in AFTER else first)
    _, ledger = versions.recalled(home, "2")
    promotion.mirror(pointer.read(str(home), NAME), ledger)  # what every flow does first
    aliases = ledger.client.get_registered_model(NAME).aliases
    assert str(aliases["champion"]) == live.model_version
    versions.promoted(home, "2")
    assert seen(home) == second
    aliases = {name: str(version) for name, version in ledger.client.get_registered_model(NAME).aliases.items()}
    assert (aliases["champion"], aliases["previous"]) == ("2", "1")


@pytest.mark.parametrize("where", ["before the pointer", *AFTER])
def test_a_rollback_that_is_killed_leaves_one_champion_whole(clean, home, where):
    _, first, second = clean
    versions.promoted(home, "2")
    killed(home, where, "rollback")
    live = pointer.read(str(home), NAME).live
    assert live.model_version == ("1" if where in AFTER else "2")
    assert seen(home) == (first if where in AFTER else second)
    _, ledger = versions.recalled(home, "2")
    promotion.mirror(pointer.read(str(home), NAME), ledger)
    assert str(ledger.client.get_registered_model(NAME).aliases["champion"]) == live.model_version
