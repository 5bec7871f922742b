"""A whole state folder that was moved: nothing is made anew, and the same is answered, also when the first is gone."""

import shutil

import pytest

from flows.config import parse
from tasks.stores import tables
from tests.helpers.configs import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]


def test_a_moved_state_folder_makes_nothing_anew_and_promotes(tmp_path, monkeypatch):
    from flows.promote import promote
    from flows.retrain import retrain

    first, second = tmp_path / "first", tmp_path / "second"
    monkeypatch.setenv("FENQUN_HOME", str(first))
    config = parse({**SMALL, "ingest": {"buckets": 2}}, "small")
    for _ in range(2):  # the second run has a champion to look at
        retrain(config)
    told = retrain(config)
    before = tables.published(str(first), "small", "assignments")
    shutil.move(first, second)
    made = set((second / "artifacts").glob("*/*"))
    monkeypatch.setenv("FENQUN_HOME", str(second))
    again = retrain(config)
    anew = {path.relative_to(second) for path in set((second / "artifacts").glob("*/*")) - made}
    assert not anew
    assert (again.metrics, again.model_version) == (told.metrics, told.model_version)
    assert tables.published(str(second), "small", "assignments").equals(before)
    promote("small", again.model_version, "ann", "it was moved")
    assert not first.exists()
