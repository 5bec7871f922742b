"""A terminal of a given width: a pseudo terminal to run a command on, and what a person would see of its output."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PARTS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+")


def screen(written: str, width: int) -> list[str]:
    """The lines that are left on a screen, longest history kept; a piece that is wider than the screen fails."""
    lines, row = [""], 0
    for part in _PARTS.findall(written):
        if part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part.startswith("\x1b[") and part.endswith("A"):
            row -= int(part[2:-1] or 1)
        elif not part.startswith(("\x1b", "\r")):
            lines[row] = part
            assert len(part) <= width, part
    return lines


def on_a_terminal(words: list[str], width: int, environment: dict[str, str]) -> tuple[int, str, str]:
    """Runs fenqun with standard error on a terminal: its exit code, standard output, and all that it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "flows", *words], cwd=ROOT, env={**plain, "TERM": "xterm", **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:  # Linux' way to say that the other side is closed
        pass
    finally:
        os.close(ours)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out.decode(), written.decode()
