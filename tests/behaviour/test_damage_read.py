"""Faults in files of the state folder, each before every command that reads it: told, or without effect."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from flows.__main__ import main
from schemas.errors import FenqunError
from tasks.models.fetch import model_folder
from tasks.stores import pointer
from tests.helpers import versions
from tests.helpers.damage import flip
from tests.helpers.lists import recommend_day
from tests.helpers.requests import raw_users

pytestmark = pytest.mark.slow

NAME = versions.NAME
Outcome = tuple[str, Any]


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """Two versions were live, one after the other; the users of requests."""
    home = tmp_path_factory.mktemp("read") / "home"
    home.mkdir()
    _, bucket, _ = versions.two(home)
    for version in ("1", "2"):
        versions.promoted(home, version)
        recommend_day(home, versions.tables_of(home, bucket), as_of=versions.AS_OF, recommend={"per_user": True})
    shutil.copytree(home, home.parent / "kept")
    return home, raw_users(bucket, 5)


def files(home: Path) -> list[Path]:
    """What a command may read, one of each kind as likely as those of another."""
    found = [path for path in sorted(home.rglob("*")) if path.is_file() and path.stat().st_size]
    ours = ("artifacts/bundle", "mlflow", "segmentations")
    return [path for path in found if str(path.relative_to(home)).startswith(ours) and ".lock" not in path.name]


def readers(path: Path, home: Path) -> tuple[str, ...]:
    """The commands that may read a file."""
    top, second = path.relative_to(home).parts[:2]
    if top == "mlflow":
        return ("serve", "serve live") if second == "artifacts" else ("serve", "serve live", "rollback")
    return (
        ("serve live", "rollback")
        if top == "artifacts"
        else ("user", "list", "export", "recommendations", "serve live", "rollback")
    )


def harm(path: Path, rng: np.random.Generator) -> str:
    """Changes one byte, or cuts the file."""
    if rng.random() < 0.7:
        at = int(rng.integers(path.stat().st_size))
        flip(path, at)
        return f"{path} flipped at {at} of {path.stat().st_size}"
    path.write_bytes(path.read_bytes()[: int(rng.integers(path.stat().st_size))])
    os.utime(path)
    return f"{path} cut to {path.stat().st_size}"


def commands(home: Path, users: list[dict], capsys) -> dict[str, Callable[[], Outcome]]:
    """Every command that reads, by name; what it does comes back as a word and what it told or left behind."""

    def asked(*words: str, left: Callable[[], Any] = lambda: None) -> Outcome:
        capsys.readouterr()
        code = main(list(words))
        out, errors = capsys.readouterr()
        if code == 0 and "is damaged (" in out:  # a rollback needs no MLflow, and says what ails it
            return "told", out
        return ("done", (out, left())) if code == 0 else ("told", errors)

    def served(follow: bool) -> Outcome:
        os.environ["FENQUN_FOLLOW"] = "live" if follow else ""
        try:
            with model_folder("2", versions.recalled(home, "2")[1]) as folder:
                model = mlflow.pyfunc.load_model(str(folder))
                sent = pd.DataFrame(users)
                alone = pd.DataFrame([{"user_id": one["user_id"]} for one in users])
                when = {"as_of": versions.AS_OF.isoformat()}
                return "done", [str(model.predict(one, when).to_dict("records")) for one in (sent, alone)]
        except Exception as error:
            return "told", f"{type(error).__name__}: {error}"

    def live() -> Any:
        """The champion after a command, and what its readers have."""
        found = pointer.read(str(home), NAME)
        try:
            return found.live.model_version, found.previous.model_version, str(versions.seen(home))
        except FenqunError as error:
            return f"told: {error}"

    of, user = ("--segmentation", NAME), users[0]["user_id"]
    target = home.parent / "members.csv"
    return {
        "user": lambda: asked("user", user, *of),
        "recommendations": lambda: asked("recommendations", user, *of),
        "list": lambda: asked("segments", "list", *of),
        "export": lambda: asked("segments", "export", *of, "--output", str(target), left=target.read_text),
        "serve": lambda: served(False),
        "serve live": lambda: served(True),
        "rollback": lambda: asked("rollback", *of, "--author", "ann", "--reason", "a test", left=live),
    }


def test_no_reader_is_silent_about_a_fault(warm, capsys, monkeypatch, pytestconfig):
    (home, users), faults = warm, pytestconfig.getoption("--faults")
    monkeypatch.setenv("FENQUN_HOME", str(home))
    monkeypatch.setenv("FENQUN_FOLLOW", "")
    rng, told, silent = np.random.default_rng(1), Counter[str](), []

    def fresh() -> None:
        shutil.rmtree(home)
        shutil.copytree(home.parent / "kept", home)

    asked, expected = commands(home, users, capsys), {}
    for name, ask in asked.items():
        expected[name] = ask()
        assert expected[name][0] == "done", expected[name]
    fresh()
    for _ in range(faults):
        some = files(home)
        path = some[int(rng.integers(len(some)))]
        fault = harm(path, rng)
        for name in readers(path, home):
            outcome = asked[name]()
            told[f"{name}: {outcome[0]}"] += 1
            left = outcome[1][1] if name == "rollback" and outcome[0] == "done" else ""
            if outcome != expected[name] and outcome[0] != "told" and not str(left).startswith("told"):
                silent.append(f"{fault}: {name}: {str(outcome)[:400]}")
                with capsys.disabled():
                    print(silent[-1], flush=True)
        fresh()
    with capsys.disabled():
        print(f"{faults} faults: {dict(sorted(told.items()))}, {len(silent)} silent")
    assert silent == []
