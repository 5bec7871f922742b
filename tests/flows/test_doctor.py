"""`fenqun doctor` as a command: what it prints, and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_command_ends_with_1_where_something_is_wrong(tmp_path):
    (tmp_path / "home").write_text("")
    environment = {**os.environ, "FENQUN_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "flows", "doctor", "--json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "state folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert "wrong" in {finding["state"] for finding in json.loads(done.stdout)}
