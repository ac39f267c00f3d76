"""Ctrl-C in a terminal under make: the command gets it, and its exit code is what make sees."""

from __future__ import annotations

import os
import pty
import sys
import textwrap
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "foreground"
COMMAND = textwrap.dedent(
    """
    import signal, sys, time
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    print("ready", flush=True)
    time.sleep(60)
    """
)
MAKEFILE = "run:\n\t@{script} {python} command.py\n"


def test_ctrl_c_ends_make_with_zero(tmp_path):
    (tmp_path / "command.py").write_text(COMMAND)
    (tmp_path / "Makefile").write_text(MAKEFILE.format(script=SCRIPT, python=sys.executable))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvp("make", ["make", "run"])
    printed = b""
    while b"ready" not in printed:
        printed += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.WIFEXITED(status), f"make died of signal {os.WTERMSIG(status)}"
    assert os.WEXITSTATUS(status) == 0
