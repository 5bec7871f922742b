"""Faults, each in a file that a later run reuses: told by name or without effect, never silent."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from flows.config import parse
from tasks.health.repair import repair
from tasks.stores import pointer, tables
from tests.helpers.configs import SMALL
from tests.helpers.damage import flip, said

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

TOGETHER = 10
"""Faults before one run: as many as a run costs seconds."""
COMPARED = ("assignments", "segments")


def reused(home: Path) -> list[Path]:
    """The files that a later run takes up again, one kind of file after the other."""
    return [
        path
        for pattern in ("artifacts/*/*/**/*", "embeddings/*/*", "segmentations/*/*.json", "segmentations/*/tables/**/*")
        for path in sorted(home.glob(pattern))
        if path.is_file() and path.stat().st_size and ".damaged-" not in str(path) and not path.name.startswith(".")
    ]


def harm(path: Path, rng: np.random.Generator) -> str:
    """Changes one byte, or cuts the file; returns which."""
    if rng.random() < 0.7:
        flip(path, int(rng.integers(2**31)))
        return "flipped"
    path.write_bytes(path.read_bytes()[: int(rng.integers(path.stat().st_size))])
    os.utime(path)
    return "cut"


def seen(home: Path) -> dict[str, list]:
    """What readers have of users and segments, without the moment and number of the run."""
    frames = {name: tables.published(str(home), "small", name) for name in COMPARED}
    told = {name: frame.drop("as_of", "model_version", strict=False) for name, frame in frames.items()}
    return {name: sorted(map(str, frame.to_dicts())) for name, frame in told.items()}


@pytest.fixture(scope="module")
def settled(tmp_path_factory, prefect_harness):
    """A state folder in which a further run makes nothing anew."""
    from flows.retrain import retrain

    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("damage") / "home"
        patch.setenv("FENQUN_HOME", str(place))
        config = parse({**SMALL, "ingest": {"buckets": 2}}, "small")
        for _ in range(3):
            retrain(config)
        yield place, lambda: retrain(config)


def told_of(summary) -> dict:
    """What a run says of the data: figures and segments."""
    return {"metrics": summary.metrics, "profiles": [profile.model_dump() for profile in summary.profiles]}


def test_no_fault_is_silent(settled, caplog, pytestconfig):
    home, retrain = settled
    rounds = -(-pytestconfig.getoption("--faults") // TOGETHER)
    backup = home.with_name("backup")
    shutil.copytree(home, backup)
    logging.getLogger("prefect.task_runs.fenqun").addHandler(caplog.handler)
    rng, expected, named = np.random.default_rng(0), (told_of(retrain()), seen(home)), 0
    for _ in range(rounds):
        files = reused(home)
        chosen = [files[int(place)] for place in rng.choice(len(files), TOGETHER, replace=False)]
        faults = [f"{path.relative_to(home)} {harm(path, rng)}" for path in chosen]
        caplog.clear()
        found = said(lambda: (told_of(retrain()), seen(home)))
        if isinstance(found, str):
            assert str(home) in found, f"{faults}: {found}"
            if "restore a backup" in str(said(lambda: repair(str(home), "small"))):
                shutil.rmtree(home)
                shutil.copytree(backup, home)
            found, named = (told_of(retrain()), seen(home)), named + 1
        named += caplog.text.count("is damaged (")
        assert found == expected, f"{faults}: an effect of damage"
    print(f"{rounds * TOGETHER} faults, {named} artifacts and files named: a file that is linked twice counts twice")
    assert named >= rounds * TOGETHER // 4
    assert pointer.read(str(home), "small").live is not None
