"""Prefect's temporary server, which only the command that started it ends, however that command ended itself."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import prefect
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import get_current_settings

# Waits until the pipe is closed, as it is when the command is gone, and makes sure that the process is still that one.
_ENDS = """
there() { grep -qs prefect.server "/proc/$0/cmdline"; }
read -r _
there && kill "$0" && sleep 3 && there && kill -9 "$0"
"""


class Temporary(SubprocessASGIServer):
    """The server in a session of its own: a signal to the command's process group is for the command.

    Ctrl-C, or a supervisor, ended the server as well, to which the flow then wanted to report how it ended: it asked
    for minutes. Once there is one of these, Prefect takes it for its temporary server.
    """

    def _run_uvicorn_command(self) -> subprocess.Popen[Any]:
        settings = get_current_settings().to_environment_variables(exclude_unset=True)
        ours = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
        made = ["--app-dir", str(Path(prefect.__file__).parent), "--factory", "prefect.server.api.server:create_app"]
        served = ["--host", "127.0.0.1", "--port", str(self.port), "--log-level", "error", "--lifespan", "on"]
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *made, *served],
            env={**os.environ, **ours, **settings},
            start_new_session=True,
        )
        _guard(server.pid)
        return server


def _guard(pid: int) -> None:
    """Starts the process that waits for our end: one that is killed with `kill -9`, or by the kernel, ends nothing.

    Our side of the pipe stays open, and is inherited by nobody.
    """
    theirs, _ = os.pipe()
    subprocess.Popen(["sh", "-c", _ENDS, str(pid)], stdin=theirs, start_new_session=True)
    os.close(theirs)
