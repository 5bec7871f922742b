"""Who goes on, who is gone: told by a kernel lock, which ends with its process."""

import subprocess
import sys

from tasks.disk.going import going, gone

HOLDS = """
import sys
from pathlib import Path
from tasks.disk.going import going
with going(Path(sys.argv[1])) as token:
    print(token, flush=True)
    input()
"""


def test_only_a_killed_process_leaves_a_token(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    token = process.stdout.readline().strip()
    with going(tmp_path) as own:
        assert {path.name for path in tmp_path.glob("[0-9a-f]*")} == {token, own}
        assert gone(tmp_path) == []
        process.kill()
        process.wait(30)
        assert gone(tmp_path) == [tmp_path / token]
    assert {path.name for path in tmp_path.glob("[0-9a-f]*")} == {token}
