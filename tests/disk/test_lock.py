"""Locks among threads and processes: one at a time, and a passing one leaves no file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.disk.lock import held


@pytest.mark.parametrize("passing", [False, True])
def test_one_holds_it_at_a_time(passing: bool, tmp_path: Path):
    file, count = tmp_path / "below" / ".lock", 0

    def work(_: int) -> None:
        nonlocal count
        for _ in range(50):
            with held(file, passing):
                before = count
                (tmp_path / "other").touch()  # lets other threads run
                count = before + 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert count == 400
    assert file.exists() is not passing
