"""Kill -9 before any write of a command: nothing is lost or left over, and the next run publishes what it would have.

Every command is first run undisturbed, which tells its writes: to MLflow, renames, commits of tables. Then it is killed
before some of them, chosen at even distances; `--kills` says how many there are in all.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.steps import recorded_config
from schemas.config import LedgerConfig
from tasks.stores import pointer, tables
from tasks.stores.ledger import Ledger
from tests.helpers.configs import planted
from tests.helpers.forks import command
from tests.helpers.killing import Moments, moments

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

NAME = "planted"
QUICK = {
    "ledger": {"log_figures": False}, "ingest": {"buckets": 1},
    "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [4]}}]},
}  # fmt: skip
DECISION = ("--segmentation", NAME, "--author", "ann", "--reason", "a test")
SHARE = {"rollback": 0.1, "assign": 0.35, "promote": 0.2, "retrain": 0.35}
"""Of all kills."""


@dataclass(frozen=True)
class Scene:
    """A command, the state folder that it is run over, and what comes of it undisturbed.

    Attributes:
        words: The command line.
        before: A copy of the state folder.
        writes: What it writes, in order.
        outcomes: What is there before it, once it was run, and once it was run twice.
    """

    words: tuple[str, ...]
    before: Path
    writes: list[str]
    outcomes: tuple[dict[str, Any], ...]


def found(home: Path) -> dict[str, Any]:
    """What readers have, whichever numbers its run and version got; and the contents of all versions."""
    live = pointer.read(str(home), NAME).live
    assert live is not None
    frames = {name: tables.published(str(home), NAME, name).drop("model_version", "run_id", strict=False)
              for name in live.tables}  # fmt: skip
    published = {name: sorted(map(str, frame.to_dicts())) for name, frame in frames.items()}
    return {"published": published, "live": live.sha256, "versions": sorted(versions(home).values())}


def versions(home: Path) -> dict[str, str]:
    """Number -> content of every registered version."""
    ledger = Ledger(LedgerConfig(), str(home), NAME)
    return {str(one.version): one.tags["fenqun.bundle_sha256"]
            for one in ledger.client.search_model_versions(f"name = '{NAME}'")}  # fmt: skip


def copied(source: Path, name: str) -> Path:
    """A copy of a state folder under a name of its own: MLflow keeps the databases open that this process looked at."""
    return Path(shutil.copytree(source, source.with_name(name)))


@pytest.fixture(scope="module")
def place(tmp_path_factory, prefect_harness) -> Path:
    """Holds `home`, configs of two moments, and what the state folder was before and after each."""
    folder = tmp_path_factory.mktemp("kills")
    for moment in (0, 1):
        (folder / f"{moment}.yaml").write_text(yaml.safe_dump({**planted(moment, users=200), **QUICK}))
        run(folder / "home", "retrain", "--config", str(folder / f"{moment}.yaml"))
        copied(folder / "home", f"after-{moment}")
    run(folder / "home", "rollback", *DECISION)
    copied(folder / "home", "gone-back")
    return folder


def run(home: Path, *words: str, at: int | None = None) -> list[str]:
    """Runs a command, to its end or until it is killed; what it wrote."""
    told = home.with_name("told")
    told.unlink(missing_ok=True)
    done = command(home, *words, before=Moments(home, told, at))
    assert done.code == (0 if at is None else -9), f"{words} {at}: {done}"
    return moments(told)


@pytest.fixture(scope="module")
def scenes(place) -> dict[str, Scene]:
    """Every command, run twice undisturbed over the state in which it has something to do."""
    given = {
        "rollback": ("after-1", ("rollback", *DECISION)),
        "assign": ("after-0", ("assign", "--config", str(place / "1.yaml"))),
        "promote": ("gone-back", ("promote", *DECISION, "--version", "2")),
        "retrain": ("after-0", ("retrain", "--config", str(place / "1.yaml"))),
    }
    made = {}
    for name, (folder, words) in given.items():
        before = place / folder
        home = copied(before, f"{name}-undisturbed")
        outcomes, writes = [found(home)], run(home, *words)
        outcomes.append(found(home))
        run(home, *words)
        made[name] = Scene(words, before, writes, (*outcomes, found(home)))
    return made


def chosen(writes: list[str], n: int) -> list[int]:
    """Moments at even distances: three quarters before what is not an artifact, which is addressed by its content."""
    made = [at for at, what in enumerate(writes) if what.startswith("rename artifacts/")]
    others = [at for at in range(len(writes)) if at not in made]
    few = min(len(made), n // 4)
    return sorted({*_even(made, few), *_even(others, n - few)})


def _even(some: list[int], n: int) -> list[int]:
    return [some[int((one + 0.5) * len(some) / n)] for one in range(n)]


@pytest.mark.parametrize("name", SHARE)
def test_after_a_kill_nothing_is_lost_or_left_and_the_next_run_publishes_the_same(
    pytestconfig, monkeypatch, scenes, name
):
    scene = scenes[name]
    for at in chosen(scene.writes, max(1, round(SHARE[name] * pytestconfig.getoption("--kills")))):
        home = copied(scene.before, f"{name}-{at}")
        monkeypatch.setenv("FENQUN_HOME", str(home))
        where = f"{name} killed before write {at}, {scene.writes[at]}"
        run(home, *scene.words, at=at)
        moved = pointer.read(str(home), NAME).revision > revision(scene)
        seen = found(home)
        expected = scene.outcomes[int(moved)]
        assert (seen["published"], seen["live"]) == (expected["published"], expected["live"]), f"{where}: readers"
        assert set(scene.outcomes[0]["versions"]) <= set(seen["versions"]), f"{where}: a version is lost"
        for number in versions(home):
            assert recorded_config(NAME, number, LedgerConfig()).segmentation == NAME, f"{where}: without its config"
        run(home, *scene.words)
        assert found(home) == scene.outcomes[1 + moved], f"{where}: the next run"
        check_nothing_is_left(home, where)
        shutil.rmtree(home)
        print(f"{where}{', live' * moved}: as undisturbed", flush=True)


def revision(scene: Scene) -> int:
    """The pointer's before the command."""
    return pointer.read(str(scene.before), NAME).revision


def check_nothing_is_left(home: Path, where: str) -> None:
    """No run seems to go on; test_killed_commands looks for servers."""
    ledger = Ledger(LedgerConfig(), str(home), NAME)
    open_runs = ledger.client.search_runs([ledger.experiment_id], "attributes.status = 'RUNNING'")
    assert open_runs == [], f"{where}: {[(one.info.run_name, one.data.tags) for one in open_runs]}"
    assert list((home / "mlflow" / "going" / NAME).glob("[0-9a-f]*")) == [], where
